"""From a folder and slide ids to a packed store: what is found, what is missing, what is packed."""

import numpy as np
import pytest
import torch
from feature_writers import (
    grid_coords,
    random_bags,
    write_clam,
    write_eva,
    write_npy,
    write_pt,
    write_stamp,
    write_trident,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.bags.cache.pack import open_store
from mil_bench.bags.formats.folder import discover
from mil_bench.bags.formats.reader import BagSource
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import FeatureError
from mil_bench.contract.store import Tiling

X = random_bags({"s1": 3, "s2": 5, "s3": 1})
XY = {slide: grid_coords(len(x)) for slide, x in X.items()}


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 9), min_size=1),
    half=st.sets(st.text("abc", min_size=1, max_size=3)),
    spatial=st.booleans(),
)
def test_a_packed_store_is_the_store_in_memory(tmp_path_factory, sizes, half, spatial):
    root = tmp_path_factory.mktemp("features")
    bags = random_bags(sizes)
    bags = {s: x.astype("float16") if s in half else x for s, x in bags.items()}
    coords = {s: grid_coords(n) for s, n in sizes.items()} if spatial else None
    store, missing = open_store(write_clam(root, bags, coords), list(sizes), cache=root / "cache")
    expected = store_of_arrays("unknown", bags, coords)
    assert missing == ()
    assert store.digest == expected.digest
    assert store.features.dtype == expected.features.dtype
    assert (store.coords is None) == (not spatial)
    for slide in sizes:
        np.testing.assert_array_equal(store.bag(slide), expected.bag(slide))
        if spatial:
            np.testing.assert_array_equal(store.bag_coords(slide), coords[slide])


def test_the_features_are_mapped_from_disk_and_only_of_the_slides_asked_for(tmp_path, cache):
    write_clam(tmp_path / "f", X, XY)
    store, _ = open_store(tmp_path / "f", ["s3", "s1"], cache=cache)
    assert isinstance(store.features, np.memmap)
    assert len(store.features) == 4
    assert list(store.rows) == ["s3", "s1"]


def test_the_digest_does_not_depend_on_the_writer_of_equal_bags(tmp_path, cache):
    clam, _ = open_store(write_clam(tmp_path / "clam", X), sorted(X), cache=cache)
    for slide, x in X.items():
        write_npy(tmp_path / "npy" / f"{slide}_feat.npy", x)
    npy, _ = open_store(tmp_path / "npy", sorted(X, reverse=True), cache=cache)
    assert clam.digest == npy.digest


def test_a_store_served_from_the_cache_reads_no_source(tmp_path, cache, monkeypatch):
    write_trident(tmp_path / "f", X, XY)
    first, _ = open_store(tmp_path / "f", sorted(X), cache=cache)
    monkeypatch.setattr(BagSource, "read", lambda self: pytest.fail("a source was read"))
    again, _ = open_store(tmp_path / "f", sorted(X), encoder="uni", cache=cache)
    part, _ = open_store(tmp_path / "f", ["s2"], cache=cache)
    assert again.digest == first.digest
    assert part.digest == store_of_arrays("e", {"s2": X["s2"]}, {"s2": XY["s2"]}).digest
    np.testing.assert_array_equal(part.bag("s2"), X["s2"])


def test_the_default_cache_is_the_folder_of_the_environment(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("MIL_BENCH_CACHE", str(cache))
    open_store(write_clam(tmp_path / "f", X), ["s1"])
    assert [p.name for p in cache.glob("*/index.json")] == ["index.json"]


def test_coordinates_are_dropped_when_one_bag_asked_for_has_none(tmp_path, cache):
    write_clam(tmp_path / "f", X, XY)
    (tmp_path / "f" / "h5_files" / "s2.h5").unlink()
    store, _ = open_store(tmp_path / "f", sorted(X), cache=cache)
    assert store.coords is None
    part, _ = open_store(tmp_path / "f", ["s1", "s3"], cache=cache)
    np.testing.assert_array_equal(part.bag_coords("s1"), XY["s1"])


def test_missing_slides_are_listed_with_the_nearest_names_and_the_option(tmp_path, cache):
    write_clam(tmp_path / "f", {f"BRACS_{n}": X["s1"] for n in (740, 741, 742, 9)})
    with pytest.raises(FeatureError) as caught:
        open_store(tmp_path / "f", ["BRACS_9", "BRACS_74", "BRACS_75"], cache=cache)
    text = str(caught.value)
    assert text.startswith(f"2 of 3 slides have no features in {tmp_path / 'f'}")
    assert "BRACS_74, BRACS_75; nearest to BRACS_74: BRACS_74" in text
    assert "--allow-missing" in text
    assert not cache.exists()


def test_with_allow_missing_the_rest_is_packed_and_the_ids_are_returned(tmp_path, cache):
    write_clam(tmp_path / "f", X)
    wanted = ["s1", "gone2", "s2", "gone1"]
    store, missing = open_store(tmp_path / "f", wanted, allow_missing=True, cache=cache)
    assert missing == ("gone2", "gone1")
    assert list(store.rows) == ["s1", "s2"]


def test_no_slide_at_all_is_an_error_even_with_allow_missing(tmp_path, cache):
    write_clam(tmp_path / "f", X)
    with pytest.raises(FeatureError, match="2 of 2 slides have no features") as caught:
        open_store(tmp_path / "f", ["x", "y"], allow_missing=True, cache=cache)
    assert "--allow-missing" not in str(caught.value)


def test_bags_of_another_width_are_refused(tmp_path, cache):
    write_clam(tmp_path / "f", {"s1": X["s1"], "s2": X["s2"], "s3": np.ones((2, 4), "float32")})
    with pytest.raises(FeatureError, match=r"s3.pt: D = 4, but the 2 bags before have D = 8"):
        open_store(tmp_path / "f", ["s1", "s2", "s3"], cache=cache)


def test_bags_of_another_encoder_of_the_same_width_are_refused(tmp_path, cache):
    write_trident(tmp_path, {"s1": X["s1"]}, XY, "uni_v1")
    write_trident(tmp_path, {"s2": X["s2"]}, XY, "gigapath")
    folder = tmp_path / "20x_256px_0px_overlap" / "features_uni_v1"
    (folder.with_name("features_gigapath") / "s2.h5").rename(folder / "s2.h5")
    with pytest.raises(FeatureError, match="features of gigapath, but those before are of uni_v1"):
        open_store(folder, ["s1", "s2"], cache=cache)


def test_all_unusable_files_are_named_at_once_and_the_others_are_packed(
    tmp_path, cache, monkeypatch
):
    write_clam(tmp_path / "f", X)
    write_pt(tmp_path / "f" / "pt_files" / "s1.pt", torch.zeros(0, 8))
    (tmp_path / "f" / "pt_files" / "s3.pt").write_bytes(b"PK")
    with pytest.raises(FeatureError, match=r"2 of 3 feature files") as caught:
        open_store(tmp_path / "f", ["s1", "s2", "s3"], cache=cache)
    assert [line.partition(": ")[0][-5:] for line in str(caught.value).splitlines()[1:]] == [
        "s1.pt",
        "s3.pt",
    ]
    monkeypatch.setattr(BagSource, "read", lambda self: pytest.fail("a source was read"))
    store, _ = open_store(tmp_path / "f", ["s2"], cache=cache)
    np.testing.assert_array_equal(store.bag("s2"), X["s2"])


def test_a_file_of_an_eva_manifest_that_is_gone_is_named(tmp_path, cache):
    write_eva(tmp_path / "f", {"s1": [X["s1"]], "s2": [X["s2"]]})
    (tmp_path / "f" / "train_images" / "s2_0.pt").unlink()
    with pytest.raises(FeatureError, match=r"s2_0.pt: cannot be read \(No such file"):
        open_store(tmp_path / "f", ["s1", "s2"], cache=cache)


def test_the_encoders_of_a_folder_are_listed(tmp_path):
    for encoder in ("uni_v1", "conch_v15"):
        write_trident(tmp_path, X, XY, encoder)
    assert [(s.encoder, len(s.sources)) for s in discover(tmp_path)] == [
        ("conch_v15", 3),
        ("uni_v1", 3),
    ]


def test_a_store_knows_unit_anchor_and_size_of_its_patches(tmp_path, cache):
    store, _ = open_store(
        write_trident(tmp_path / "t", X, XY, patch_size_level0=512), X, cache=cache
    )
    assert store.tiling("s2") == Tiling("level0_px", "top_left", 512)
    stamp, _ = open_store(write_stamp(tmp_path / "s", X, XY), X, cache=cache)
    assert stamp.tiling("s2") == Tiling("um", "top_left", 256)
    assert store_of_arrays("e", X, XY).tiling("s2") == Tiling(patch_size=None)
