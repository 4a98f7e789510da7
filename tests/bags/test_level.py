"""Slides labelled at an upper level: the same folds, other labels."""

from __future__ import annotations

import pytest

from mil_bench.bags.splits.make import make_split
from mil_bench.base.errors import UnknownNameError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.load import load_dataset, load_labels


@pytest.fixture(scope="module")
def fine():
    return load_dataset("digit-bags")


@pytest.fixture(scope="module")
def coarse():
    return load_dataset("digit-bags", DatasetOptions(tree="coarse"))


def test_labels_are_the_classes_above_the_leaves(fine, coarse):
    assert coarse.taxonomy.leaves == ("low", "middle", "high")
    assert coarse.taxonomy.levels == ("leaf",)
    above = {path[-1]: path[0] for path in fine.taxonomy.paths}
    labels = coarse.manifest.labels()
    assert labels == {s: above[leaf] for s, leaf in fine.manifest.labels().items()}
    slide = next(iter(labels))
    seen = coarse.instance_labels[slide]
    assert seen == tuple(above.get(name, name) for name in fine.instance_labels[slide])


@pytest.mark.parametrize("name", ["official", "kfold-5", "mccv-3"])
def test_splits_are_those_of_the_leaves(fine, coarse, name):
    assert make_split(name, coarse).digest() == make_split(name, fine).digest()


def test_labels_alone_load_alike(coarse):
    again = load_labels("digit-bags", DatasetOptions(tree="coarse"))
    assert again.manifest.digest() == coarse.manifest.digest()


def test_a_level_that_is_not_there_is_named():
    with pytest.raises(UnknownNameError, match="upper level 'level2' of tree 'digits-3'"):
        load_dataset("digit-bags", DatasetOptions(tree="level2"))
