"""What is not a bag of patch features is refused with the reason, never read as something else."""

import numpy as np
import pytest
import torch
from feature_writers import grid_coords, random_bags, write_h5, write_npy, write_pt

from mil_bench.bags.formats.arrays import read_eva
from mil_bench.bags.formats.reader import read_bag
from mil_bench.base.errors import FeatureError

X = random_bags({"s": 10})["s"]
XY = grid_coords(10)


def refusal(path):
    with pytest.raises(FeatureError) as caught:
        read_bag(path)
    text = str(caught.value)
    assert text.startswith(str(path))
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


@pytest.mark.parametrize("shape", [(0, 8), (0,), (1, 0, 8)])
def test_an_empty_bag_is_refused(tmp_path, shape):
    empty = np.zeros(shape, "float32")
    data = {"features": empty, "coords": np.zeros((0, 2))}
    assert "an empty bag" in refusal(write_h5(tmp_path / "s.h5", data))
    assert "an empty bag" in refusal(write_pt(tmp_path / "s.pt", torch.from_numpy(empty)))
    assert "an empty bag" in refusal(write_pt(tmp_path / "list.pt", []))


def test_a_patch_file_without_features_is_refused(tmp_path):
    path = write_h5(tmp_path / "s.h5", {"coords": XY}, attrs={"coords": {"patch_size": 256}})
    assert "a patch file" in refusal(path)


def test_a_legacy_file_of_patch_images_is_refused(tmp_path):
    path = write_h5(tmp_path / "s.h5", {"imgs": np.zeros((10, 4, 4, 3)), "coords": XY})
    assert "legacy CLAM file of patch images" in refusal(path)


def test_unknown_keys_are_listed(tmp_path):
    h5 = write_h5(tmp_path / "s.h5", {"tokens": X, "mask": X})
    assert "only 'mask', 'tokens'; expected one of features, feats" in refusal(h5)
    assert "only 'tokens'" in refusal(write_pt(tmp_path / "s.pt", {"tokens": torch.ones(2, 2)}))


def test_a_file_with_a_group_per_slide_is_no_single_bag(tmp_path):
    path = write_h5(tmp_path / "s.h5", {"a/features": X, "b/features": X})
    assert "2 bags in one file" in refusal(path)


def test_several_bags_in_one_array_are_refused(tmp_path):
    path = write_h5(tmp_path / "s.h5", {"features": np.stack([X, X])})
    assert "2 bags in one array" in refusal(path)


def test_features_without_a_width_or_with_four_dimensions_are_refused(tmp_path):
    for shape in [(3, 0), (2, 2, 2, 2), ()]:
        assert "expected (N, D)" in refusal(write_npy(tmp_path / "s.npy", np.zeros(shape)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
def test_a_number_that_is_not_finite_is_located(tmp_path, value, dtype):
    bad = X.astype(dtype)
    bad[0, :2] = np.finfo("float16").max, np.finfo("float16").min
    bad[7, 3] = value
    assert "NaN or Inf in 1 of 10 patches (first: 7)" in refusal(write_npy(tmp_path / "s.npy", bad))


def test_a_double_too_large_for_float32_is_refused_as_infinite(tmp_path):
    path = write_npy(tmp_path / "s.npy", np.array([[1.0], [1e300]]))
    assert "NaN or Inf in 1 of 2 patches (first: 1)" in refusal(path)


@pytest.mark.parametrize("n", [9, 11])
def test_more_or_fewer_coordinates_than_features_are_refused(tmp_path, n):
    path = write_h5(tmp_path / "s.h5", {"features": X, "coords": grid_coords(n)})
    assert f"10 feature rows but {n} coordinates" in refusal(path)


def test_coordinates_of_another_form_are_refused(tmp_path):
    for xy in (np.zeros((10, 3)), np.zeros(20), np.zeros((2, 10, 2))):
        path = write_h5(tmp_path / "s.h5", {"features": X, "coords": xy})
        assert "expected (N, 2)" in refusal(path)
    path = write_h5(tmp_path / "s.h5", {"features": X, "coords": XY * np.nan})
    assert "coordinates that are not finite numbers" in refusal(path)


def test_features_that_are_not_numbers_are_refused(tmp_path):
    path = write_npy(tmp_path / "s.npy", np.array([["a", "b"]]))
    assert "expected floating-point numbers" in refusal(path)
    assert "expected a dense tensor" in refusal(write_pt(tmp_path / "s.pt", {"features": 3}))
    assert "expected a dense tensor" in refusal(write_pt(tmp_path / "n.pt", 3))


@pytest.mark.parametrize("keep", [0, 1, 40, 0.5, -1])
@pytest.mark.parametrize("suffix", [".h5", ".pt", ".npy", ".legacy.pt"])
def test_a_truncated_file_is_refused(tmp_path, suffix, keep):
    path = tmp_path / f"s{suffix}"
    many = random_bags({"s": 500})["s"]
    if suffix == ".legacy.pt":
        torch.save(torch.from_numpy(many), path, _use_new_zipfile_serialization=False)
    else:
        write = {".h5": lambda p, x: write_h5(p, {"features": x}), ".npy": write_npy}
        write.get(suffix, lambda p, x: write_pt(p, torch.from_numpy(x)))(path, many)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(keep * len(whole)) if isinstance(keep, float) else keep])
    text = refusal(path)
    assert "empty (0 bytes)" in text if keep == 0 else "truncated, damaged" in text


def test_a_file_of_another_kind_is_refused(tmp_path):
    for suffix in (".h5", ".pt", ".npy"):
        path = tmp_path / f"s{suffix}"
        path.write_bytes(b"slide_id,label\n" * 50)
        assert refusal(path)
    path = tmp_path / "s.csv"
    path.write_text("a,b")
    assert "no feature file has the ending '.csv'" in refusal(path)


class Bomb:
    """Runs code when a careless reader unpickles it."""

    def __init__(self, flag):
        self.flag = flag

    def __reduce__(self):
        return (open, (str(self.flag), "w"))


def test_a_pickle_is_refused_and_its_code_never_runs(tmp_path):
    flag = tmp_path / "ran"
    path = write_pt(tmp_path / "s.pt", {"features": Bomb(flag)})
    assert "could run code" in refusal(path)
    np.save(tmp_path / "s.npy", np.array([Bomb(flag)], dtype=object), allow_pickle=True)
    flag.unlink(missing_ok=True)  # saving an object does not run it either
    assert "could run code" in refusal(tmp_path / "s.npy")
    assert not flag.exists()


def test_an_array_pickled_in_a_pt_file_names_its_type_and_the_remedy(tmp_path):
    text = refusal(write_pt(tmp_path / "s.pt", {"features": X}))
    assert "numpy" in text
    assert "save the array again as .npy" in text


def test_a_zarr_folder_gets_a_hint_to_export(tmp_path):
    (tmp_path / "slide.zarr").mkdir()
    assert "LazySlide" in refusal(tmp_path / "slide.zarr")
    assert "this is a folder" in refusal(tmp_path)
    assert "there is no such file" in refusal(tmp_path / "none.h5")


def test_patches_of_different_length_in_a_list_are_refused(tmp_path):
    path = write_pt(tmp_path / "s.pt", [torch.ones(3), torch.ones(4)])
    assert "patches of different shapes" in refusal(path)
    with pytest.raises(FeatureError, match="patches of different shapes"):
        read_eva([write_pt(tmp_path / f"{d}.pt", [torch.ones(d)]) for d in (3, 4)])
