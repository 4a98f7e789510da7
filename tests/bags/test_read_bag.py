"""Every writer's bag comes back with its values, precision, coordinates and meaning of them."""

import numpy as np
import pytest
import torch
from feature_writers import (
    grid_coords,
    random_bags,
    write_clam,
    write_eva,
    write_h5,
    write_npy,
    write_pt,
    write_slideflow,
    write_stamp,
    write_torchmil,
    write_trident,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.bags.formats.folder import discover
from mil_bench.bags.formats.h5 import grid_step
from mil_bench.bags.formats.reader import read_bag

X = random_bags({"s": 10})["s"]
XY = grid_coords(10)
STAMP = {"unit": "um", "stamp_version": "2.3.0", "extractor": "uni"}


def only_bag(root):
    (found,) = discover(root)
    (source,) = found.sources.values()
    return source.read()


def facts(bag):
    return bag.writer, bag.unit, bag.anchor, bag.patch_size, bag.encoder


def test_a_clam_h5_has_level_0_corners_and_the_patch_size_of_its_grid(tmp_path):
    bag = only_bag(write_clam(tmp_path, {"s": X}, {"s": XY}))
    np.testing.assert_array_equal(bag.features, X)
    np.testing.assert_array_equal(bag.coords, XY)
    assert facts(bag) == ("clam", "level0_px", "top_left", 256.0, None)


def test_a_clam_pt_has_no_coordinates(tmp_path):
    bag = only_bag(write_clam(tmp_path, {"s": X}))
    np.testing.assert_array_equal(bag.features, X)
    assert bag.coords is None
    assert bag.writer == "clam"


def test_a_clam_fork_with_patch_attributes_gives_the_extent_on_level_0(tmp_path):
    attrs = {"patch_size": 256, "patch_level": 1, "downsample": (4.0, 4.0), "custom_downsample": 2}
    path = write_h5(tmp_path / "s.h5", {"features": X, "coords": XY}, attrs={"coords": attrs})
    assert read_bag(path).patch_size == 256 * 4 * 2


@pytest.mark.parametrize("prefix", ["features_", "patch_features_"])
def test_a_trident_bag_has_the_patch_size_of_level_0(tmp_path, prefix):
    job = write_trident(
        tmp_path, {"s": X.astype("float16")}, {"s": XY * 2}, prefix=prefix, patch_size_level0=512.0
    )
    bag = only_bag(job)
    assert bag.features.dtype == np.float16
    np.testing.assert_array_equal(bag.features, X.astype("float16"))
    np.testing.assert_array_equal(bag.coords, XY * 2)
    assert facts(bag) == ("trident", "level0_px", "top_left", 512.0, "uni_v1")


def test_an_older_trident_bag_computes_its_level_0_size_from_the_magnifications(tmp_path):
    attrs = {"patch_size": 256, "level0_magnification": 40, "target_magnification": 20}
    attrs["patch_size_level0"] = "None"
    path = write_h5(tmp_path / "s.h5", {"features": X, "coords": XY}, attrs={"coords": attrs})
    assert read_bag(path).patch_size == 512.0


def test_trident_features_on_clam_coordinates_are_known_by_their_encoder(tmp_path):
    attrs = {"features": {"encoder": "conch_v1_5"}}
    bag = read_bag(write_h5(tmp_path / "s.h5", {"features": X, "coords": XY}, attrs=attrs))
    assert facts(bag) == ("trident", "level0_px", "top_left", 256.0, "conch_v15")


@pytest.mark.parametrize(
    ("attrs", "coords", "expected", "size"),
    [
        ({**STAMP, "tile_size_um": 256.0, "feat_type": "tile"}, XY, XY, 256.0),
        ({"unit": "um", "tile_size": 256.0, "extractor": "uni"}, XY, XY, 256.0),
        ({"extractor": "uni"}, grid_coords(10, 224), grid_coords(10, 224) / 224 * 256, 256.0),
        ({**STAMP, "feat_type": np.bytes_("tile")}, XY / 2, XY / 2, 128.0),
    ],
    ids=["current", "early v2", "v1 in pixels", "size from the grid"],
)
def test_stamp_coordinates_are_micrometres(tmp_path, attrs, coords, expected, size):
    root = write_stamp(tmp_path, {"a/b/s": X.astype("float16")}, {"a/b/s": coords}, "uni", attrs)
    bag = only_bag(root)
    np.testing.assert_array_equal(bag.features, X.astype("float16"))
    np.testing.assert_allclose(bag.coords, expected, rtol=1e-6)
    assert facts(bag) == ("stamp", "um", "top_left", size, "uni_v1")


def test_a_stamp_multiplex_bag_has_no_coordinates(tmp_path):
    bag = read_bag(write_h5(tmp_path / "s.h5", {"patch_embeddings": X}, {"unit": "um"}))
    np.testing.assert_array_equal(bag.features, X)
    assert bag.coords is None
    assert bag.writer == "stamp"


def test_a_newer_stamp_is_read_with_one_warning(tmp_path, caplog):
    for name in ("a", "b"):
        attrs = {**STAMP, "stamp_version": "9.1.0", "tile_size_um": 256.0}
        read_bag(write_h5(tmp_path / f"{name}.h5", {"feats": X, "coords": XY}, attrs))
    assert [r.getMessage().split(",")[0] for r in caplog.records] == [
        "features were written by STAMP 9.1.0"
    ]


def test_the_rows_of_an_eva_slide_are_joined_in_order_without_coordinates(tmp_path):
    bag = only_bag(write_eva(tmp_path, {"s": [X[:4], X[4:9], X[9:]]}))
    np.testing.assert_array_equal(bag.features, X)
    assert bag.coords is None
    assert bag.writer == "eva"


@pytest.mark.parametrize("shape", [(8,), (1, 8)])
def test_an_eva_file_may_hold_a_single_patch(tmp_path, shape):
    root = write_eva(tmp_path, {"s": [X[:1]]})
    write_pt(tmp_path / "train_images" / "s_0.pt", torch.from_numpy(X[0].reshape(shape)))
    np.testing.assert_array_equal(only_bag(root).features, X[:1])


@pytest.mark.parametrize("suffix", [".npz", ".npy"])
def test_slideflow_coordinates_are_tile_centres(tmp_path, suffix):
    bag = only_bag(write_slideflow(tmp_path, {"s": X}, {"s": XY + 128}, suffix))
    np.testing.assert_array_equal(bag.features, X)
    np.testing.assert_array_equal(bag.coords, XY + 128)
    assert facts(bag) == ("slideflow", "level0_px", "center", 256.0, "resnet50")


@pytest.mark.parametrize("key", ["feats", "features"])
def test_a_mil_baseline_dictionary_is_read(tmp_path, key):
    path = write_pt(tmp_path / "s.pt", {key: torch.from_numpy(X), "coords": torch.from_numpy(XY)})
    bag = read_bag(path)
    np.testing.assert_array_equal(bag.features, X)
    np.testing.assert_array_equal(bag.coords, XY)


def test_torchmil_takes_the_coordinates_of_the_parallel_folder(tmp_path):
    bag = only_bag(write_torchmil(tmp_path, {"s": X}, {"s": XY}))
    np.testing.assert_array_equal(bag.features, X)
    np.testing.assert_array_equal(bag.coords, XY)
    assert bag.writer == "torchmil"
    np.testing.assert_array_equal(read_bag(write_npy(tmp_path / "x" / "s.npy", X)).features, X)


def test_a_leading_dimension_of_one_is_dropped_from_features_and_coordinates(tmp_path):
    for n in (1, 10):
        data = {"features": X[None, :n], "coords": XY[None, :n]}
        bag = read_bag(write_h5(tmp_path / f"{n}.h5", data))
        np.testing.assert_array_equal(bag.features, X[:n])
        np.testing.assert_array_equal(bag.coords, XY[:n])
    path = write_pt(tmp_path / "s.pt", torch.from_numpy(X[None]))
    np.testing.assert_array_equal(read_bag(path).features, X)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64, torch.int64])
def test_types_without_a_place_in_the_cache_become_float32(tmp_path, dtype):
    tensor = torch.from_numpy(X).mul(10).to(dtype)
    bag = read_bag(write_pt(tmp_path / "s.pt", tensor))
    assert bag.features.dtype == np.float32
    np.testing.assert_array_equal(bag.features, tensor.float().numpy())


@settings(max_examples=50, deadline=None)
@given(
    step=st.integers(1, 2000),
    shift=st.tuples(st.integers(0, 50_000), st.integers(0, 50_000)),
    columns=st.integers(2, 9),
    holes=st.integers(0, 3),
)
def test_the_patch_size_of_a_shifted_grid_with_gaps_is_its_step(step, shift, columns, holes):
    x, y = np.meshgrid(np.arange(columns), np.arange(6))
    tissue = np.stack([x.ravel(), y.ravel()], 1) * step
    tissue = np.delete(tissue, np.arange(holes) * 3, axis=0)
    second_piece = tissue + np.array(shift) + 7 * step
    both = np.concatenate([tissue, second_piece])
    on_one_line = (second_piece[:, None] == tissue[None]).any()
    if not on_one_line:  # pieces on common lines may lie nearer than a step
        assert grid_step(np.random.default_rng(0).permutation(both)) == step


def test_one_patch_or_no_neighbours_have_no_step():
    assert grid_step(XY[:1]) is None
    assert grid_step(np.array([[0, 0], [5, 7]])) is None
    assert grid_step(None) is None
