"""A dataset whose labels are the classes of an upper level: training that never saw the leaves."""

from __future__ import annotations

import re
from dataclasses import replace

from mil_bench.bags.manifest import STRATUM, Manifest
from mil_bench.dataset import Dataset
from mil_bench.errors import UnknownNameError
from mil_bench.taxonomy import Taxonomy

_LEVEL = re.compile(r"coarse|level\d+")


def is_level(tree: str | None) -> bool:
    """Whether what was given for a tree is the name of an upper level."""
    return tree is not None and _LEVEL.fullmatch(tree) is not None


def at_level(dataset: Dataset, level: str) -> Dataset:
    """The slides of ``dataset`` labelled with their classes at ``level`` of its tree.

    Splits balance the leaves as before, so that folds are those of the dataset itself. Raises
    ``UnknownNameError`` for a level that the tree does not have.
    """
    tree = dataset.taxonomy
    if level not in tree.levels[:-1]:
        raise UnknownNameError("upper level", level, tree.levels[:-1], of=f"tree {tree.name!r}")
    index = tree.ancestor_index(level)
    upper = {leaf: tree.classes[level][index[i]] for i, leaf in enumerate(tree.leaves)}
    table = dataset.manifest.table
    coarse = table.assign(**{"label": table["label"].map(upper), STRATUM: table["label"]})
    flat = Taxonomy.flat(
        f"{tree.name}-{level}", tree.classes[level], ordered=tree.ordered, titles=tree.titles
    )
    patches = dataset.instance_labels
    if patches is not None:
        patches = {s: tuple(upper.get(c, c) for c in names) for s, names in patches.items()}
    return replace(dataset, manifest=Manifest(coarse), taxonomy=flat, instance_labels=patches)
