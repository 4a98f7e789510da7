"""The root of any tool's output, or a folder above it, is enough to find the bags."""

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

from mil_bench.bags.formats.folder import choose, discover
from mil_bench.bags.formats.names import canonical_encoder
from mil_bench.bags.formats.reader import BagSource
from mil_bench.base.errors import FeatureError, UnknownNameError

X = random_bags({"a": 3, "b": 5})
XY = {slide: grid_coords(len(x)) for slide, x in X.items()}


def found(root):
    """Encoder -> the names of its bags and the endings of their files."""
    return {
        s.encoder: {name: source.paths[0].suffix for name, source in s.sources.items()}
        for s in discover(root)
    }


def test_clam_files_with_coordinates_are_preferred(tmp_path):
    write_clam(tmp_path, X, {"a": XY["a"], "b": XY["b"]})
    (tmp_path / "h5_files" / "b.h5").unlink()
    assert found(tmp_path) == {"unknown": {"a": ".h5", "b": ".pt"}}
    assert found(tmp_path / "pt_files") == {"unknown": {"a": ".pt", "b": ".pt"}}


@pytest.mark.parametrize("start", [".", "job", "job/20x_256px_0px_overlap"])
@pytest.mark.parametrize("prefix", ["features_", "patch_features_"])
def test_trident_features_are_found_from_every_height(tmp_path, start, prefix):
    write_trident(tmp_path / "job", X, XY, prefix=prefix)
    write_h5(tmp_path / "job" / "20x_256px_0px_overlap" / "slide_features_titan" / "a.h5", {})
    both = {"a": ".h5", "b": ".h5"}
    assert found(tmp_path / start) == {"uni_v1": both}
    inner = tmp_path / "job" / "20x_256px_0px_overlap" / f"{prefix}uni_v1"
    assert found(inner) == {"uni_v1": both}


def test_stamp_keeps_the_folders_of_the_slides(tmp_path):
    nested = {"site/a": X["a"], "uni/b": X["b"]}  # a slide folder called like an encoder
    write_stamp(tmp_path, nested, {"site/a": XY["a"], "uni/b": XY["b"]}, "virchow2")
    assert found(tmp_path) == {"virchow2": {"site/a": ".h5", "uni/b": ".h5"}}


def test_a_folder_that_ends_in_a_date_is_not_one_of_stamp(tmp_path):
    write_trident(tmp_path / "job-20240131", X, XY)
    assert set(found(tmp_path / "job-20240131")) == {"uni_v1"}


def test_eva_rows_are_grouped_by_slide(tmp_path):
    write_eva(tmp_path / "mahmood_uni", {"a": [X["a"][:1], X["a"][1:]], "b": [X["b"]]})
    (features,) = discover(tmp_path)
    assert features.encoder == "uni_v1"
    sizes = {name: len(source.paths) for name, source in features.sources.items()}
    assert sizes == {"a": 2, "b": 1}


def test_an_eva_manifest_that_leaves_its_folder_is_refused(tmp_path):
    (tmp_path / "manifest.csv").write_text("origin,embeddings,target,split\nx,../../x.pt,0,train\n")
    with pytest.raises(FeatureError, match=r"line 2: .*'\.\./\.\./x\.pt'"):
        discover(tmp_path)


def test_slideflow_indexes_are_not_bags(tmp_path):
    write_slideflow(tmp_path, X, XY, ".npy")
    assert found(tmp_path) == {"resnet50": {"a": ".pt", "b": ".pt"}}


@pytest.mark.parametrize("start", [".", "patches_512", "patches_512/features"])
def test_torchmil_labels_and_coordinates_are_not_bags(tmp_path, start):
    write_torchmil(tmp_path, X, XY)
    assert found(tmp_path / start) == {"resnet50": {"a": ".npy", "b": ".npy"}}


def test_our_own_convention_names_any_encoder_and_holds_any_layout(tmp_path):
    write_clam(tmp_path / "features" / "my_encoder", X, XY)
    write_npy(tmp_path / "features" / "UNI" / "a.npy", X["a"])
    write_trident(tmp_path / "features" / "job", X, XY, "conch_v15")
    assert list(found(tmp_path)) == ["conch_v15", "my_encoder", "uni_v1"]
    assert list(found(tmp_path / "features")) == ["conch_v15", "my_encoder", "uni_v1"]


@pytest.mark.parametrize("folder", [".", "features", "features/train", "Group_BT/Type_N"])
def test_a_flat_or_nested_folder_is_one_set_whose_encoder_the_files_name(tmp_path, folder):
    where = tmp_path / folder
    write_h5(where / "a.h5", {"features": X["a"]}, attrs={"features": {"encoder": "uni"}})
    write_pt(where / "b_feat.pt", torch.from_numpy(X["b"]))
    (features,) = discover(tmp_path)
    assert features.encoder == "uni_v1"
    assert [name.rpartition("/")[2] for name in features.sources] == ["a", "b_feat"]


def test_two_magnifications_of_one_encoder_are_told_apart(tmp_path):
    for grid in ("20x_256px_0px_overlap", "10x_256px_0px_overlap"):
        write_trident(tmp_path, X, XY, grid=grid)
    names = ["uni_v1@10x_256px_0px_overlap", "uni_v1@20x_256px_0px_overlap"]
    assert list(found(tmp_path)) == names
    assert choose(tmp_path, names[1]).encoder == names[1]
    with pytest.raises(FeatureError, match="2 encoders"):
        choose(tmp_path, "uni")


def test_several_encoders_are_listed_and_one_is_asked_for(tmp_path):
    for encoder in ("uni_v1", "conch_v15"):
        write_trident(tmp_path, X, XY, encoder)
    with pytest.raises(FeatureError, match=r"conch_v15 \(2 slides .*uni_v1 .*--encoder"):
        choose(tmp_path)
    assert choose(tmp_path, "mahmood_uni").encoder == "uni_v1"
    with pytest.raises(UnknownNameError, match="did you mean 'uni_v1'"):
        choose(tmp_path, "uni_v2x")


def test_a_folder_without_an_encoder_takes_the_name_given(tmp_path):
    write_npy(tmp_path / "a.npy", X["a"])
    assert choose(tmp_path).encoder == "unknown"
    assert choose(tmp_path, "UNI").encoder == "uni_v1"


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("uni", "uni_v1"),
        ("UNI", "uni_v1"),
        ("pathology/mahmood_uni2_h", "uni_v2"),
        ("conch_v1_5", "conch_v15"),
        ("h-optimus-1", "hoptimus1"),
        ("virchow-full", "virchow-full"),
        ("my encoder", "my encoder"),
    ],
)
def test_aliases_of_encoders_have_one_name(alias, name):
    assert canonical_encoder(alias) == name


@pytest.mark.parametrize(
    ("what", "reason"),
    [
        ("slide.zarr/.zgroup", "LazySlide"),
        ("titan/TCGA_TITAN_features.pkl", "a pickle is never opened"),
        ("20x_256px_0px_overlap/patches/a_patches.h5", "only patch coordinates"),
        ("notes.txt", "no feature files"),
    ],
)
def test_a_folder_without_bags_says_what_is_there_instead(tmp_path, what, reason):
    path = tmp_path / what
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    with pytest.raises(FeatureError, match=reason):
        discover(tmp_path)


def test_a_missing_root_and_a_file_as_root_are_refused(tmp_path):
    with pytest.raises(FeatureError, match="there is no such folder"):
        discover(tmp_path / "none")
    with pytest.raises(FeatureError, match="this is a file"):
        discover(write_npy(tmp_path / "a.npy", X["a"]))


def test_a_source_notices_new_coordinates_beside_its_file(tmp_path):
    path = write_pt(tmp_path / "a.pt", torch.from_numpy(X["a"]))
    before = BagSource((path,)).stamp()
    write_slideflow(tmp_path, {}, {})
    torch.save(torch.ones(1), tmp_path / "a.index.npz")
    after = BagSource((path,)).stamp()
    assert before == after[:1]
    assert after[1][0].endswith("a.index.npz")
