"""The embedded dataset: leak-free by pixels, labelled by its rule, the same everywhere."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from mil_bench.base.errors import UnknownNameError
from mil_bench.contract.dataset import Dataset, DatasetOptions
from mil_bench.datasets.digit_bags import DigitBags

BRACS = {"none": 44, "four": 147, "seven": 74, "one": 41, "eight": 48, "three": 61, "nine": 132}
RANK = ["four", "seven", "one", "eight", "three", "nine"]

# SHA-256 of all pixels in order, and digests of labels and split, as of release 0.1.
PIXELS = "cd5e5c31e3f90ce1d0cfcb303fdd8fdfe98a4f850fc6ab86fc9a59af5a77d221"
MANIFEST, SPLIT = "b802262e1286", "ee10cf57a833"


@pytest.fixture(scope="module")
def data() -> Dataset:
    return DigitBags().load(DatasetOptions())


def images_of(data: Dataset, slides: tuple[str, ...]) -> set[bytes]:
    return {row.tobytes() for slide in slides for row in data.store.bag(slide)}


def test_features_that_it_does_not_have_are_refused() -> None:
    assert DigitBags().load(DatasetOptions(encoder="pixels")).store.encoder == "pixels"
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'uni' of digit-bags.*'pixels'"):
        DigitBags().load(DatasetOptions(encoder="uni"))


def test_every_patch_is_a_real_scan_of_scikit_learn(data: Dataset) -> None:
    real = {row.tobytes() for row in (load_digits().data / 16).astype(np.float32)}
    assert images_of(data, tuple(data.manifest.slide_ids)) <= real


def test_no_image_stands_in_two_sets_of_a_fold(data: Dataset) -> None:
    assert data.official is not None
    for fold in data.official.folds:
        train, val, test = (images_of(data, ids) for _, ids in fold.sets())
        assert not train & val
        assert not train & test
        assert not val & test


def test_every_slide_is_tested_exactly_once_over_the_folds(data: Dataset) -> None:
    assert data.official is not None
    tested = [slide for fold in data.official.folds for slide in fold.test]
    assert sorted(tested) == sorted(data.manifest.slide_ids)
    data.official.check(data.manifest.groups())
    for fold in data.official.folds:
        assert [len(ids) for _, ids in fold.sets()] == [210, 70, 70]


def test_a_patient_never_crosses_a_group(data: Dataset) -> None:
    groups = data.manifest.table.groupby("patient_id")["group_id"].nunique()
    assert (groups == 1).all()
    assert data.manifest.table.groupby("patient_id").size().max() > 1


def test_classes_have_the_proportions_of_bracs_in_every_group(data: Dataset) -> None:
    counts = data.manifest.table["label"].value_counts()
    for leaf, slides in BRACS.items():
        assert counts[leaf] == pytest.approx(350 * slides / 547, abs=0.6)
    by_group = data.manifest.table.groupby("group_id")["label"].value_counts().unstack()
    assert ((by_group.max() - by_group.min()) <= 1).all()


def test_the_label_of_a_bag_is_its_highest_ranked_witness(data: Dataset) -> None:
    assert data.instance_labels is not None
    for slide, label in data.manifest.labels().items():
        found = set(data.instance_labels[slide]) - {"background"}
        assert label == (max(found, key=RANK.index) if found else "none")


def test_instance_labels_name_the_digit_on_the_image(data: Dataset) -> None:
    assert data.instance_labels is not None
    digits = load_digits()
    target = {
        row.tobytes(): digit
        for row, digit in zip((digits.data / 16).astype(np.float32), digits.target, strict=True)
    }
    names = {4: "four", 7: "seven", 1: "one", 8: "eight", 3: "three", 9: "nine"}
    for slide, labels in data.instance_labels.items():
        expected = [names.get(target[row.tobytes()], "background") for row in data.store.bag(slide)]
        assert list(labels) == expected


def test_witnesses_are_rare_and_bags_are_of_30_to_200_images(data: Dataset) -> None:
    assert data.instance_labels is not None
    sizes = [len(data.store.bag(slide)) for slide in data.manifest.slide_ids]
    assert (min(sizes), max(sizes)) == (30, 200)
    for slide, label in data.manifest.labels().items():
        labels = data.instance_labels[slide]
        assert labels.count(label) <= 0.07 * len(labels)


def test_coordinates_are_a_grid_without_holes_or_doubles(data: Dataset) -> None:
    coords = data.store.bag_coords("bag001")
    assert coords is not None
    assert coords.dtype == np.float64
    assert len({tuple(xy) for xy in coords}) == len(coords)
    assert set(np.unique(np.diff(np.unique(coords)))) == {8.0}


def test_bags_are_the_same_on_every_machine(data: Dataset) -> None:
    pixels = b"".join(data.store.bag(slide).tobytes() for slide in data.manifest.slide_ids)
    assert sha256(pixels).hexdigest() == PIXELS
    assert data.manifest.digest() == MANIFEST
    assert data.official is not None
    assert data.official.digest() == SPLIT


def test_witnesses_tell_the_leaf_and_the_mean_image_does_not(data: Dataset) -> None:
    """With the witnesses pointed out a linear model is far better than on whole bags."""
    assert data.instance_labels is not None
    assert data.official is not None
    marks = data.instance_labels
    fold, labels = data.official[0], data.manifest.labels()

    def score(only_witnesses: bool) -> float:
        def mean(slide: str) -> np.ndarray:
            keep = np.array([mark == labels[slide] for mark in marks[slide]])
            rows = data.store.bag(slide)
            return rows[keep].mean(0) if only_witnesses and keep.any() else rows.mean(0)

        train, test = ([mean(s) for s in ids] for ids in (fold.train, fold.test))
        model = LogisticRegression(C=10, class_weight="balanced", max_iter=3000)
        model.fit(train, [labels[s] for s in fold.train])
        return balanced_accuracy_score([labels[s] for s in fold.test], model.predict(test))

    assert score(only_witnesses=True) > 0.85
    assert 1 / 7 < score(only_witnesses=False) < 0.6
