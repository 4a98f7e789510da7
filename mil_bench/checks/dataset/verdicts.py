"""A verdict on every subject: ids, labels, patients, features, split, leaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mil_bench.bags.splits.make import make_split
from mil_bench.base.errors import SplitError
from mil_bench.base.finding import Finding
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.dataset import Dataset
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Split
from mil_bench.contract.store import BagStore

SHOWN_IDS = 20
SETS = 3  # train, val and test


def on_ids(manifest: Manifest) -> Finding:
    """Ids that cannot be used have been refused when the manifest was made."""
    return Finding("ids", f"{len(manifest)} labelled slides, each listed once")


def on_labels(tree: Taxonomy, classes: pd.DataFrame) -> Iterator[Finding]:
    """The tree, then classes that nothing can be said about."""
    sizes = ", ".join(f"{len(tree.classes[level])} {level}" for level in tree.levels)
    yield Finding("labels", f"every label is a leaf of the tree {tree.name} ({sizes})")
    leaves = classes[classes["level"] == LEAF]
    absent = leaves[leaves["slides"] == 0]["class"]
    if len(absent):
        yield Finding(
            "labels",
            f"{len(absent)} classes without a slide: {_some(absent)}",
            "note",
            "their scores are undefined; use a tree without them",
        )
    rare = leaves[(leaves["slides"] > 0) & (leaves["groups"] < SETS)]["class"]
    if len(rare):
        yield Finding(
            "labels",
            f"{len(rare)} classes with fewer than {SETS} patients or groups: {_some(rare)}",
            "note",
            "they cannot be in all three sets of a fold; merge them, or expect unreliable scores",
        )


def on_patients(manifest: Manifest) -> Finding:
    """Patients and groups; unknown patients are a note."""
    table = manifest.table
    known, groups = table[table["patient_id"] != ""], table["group_id"].nunique()
    if manifest.has_patients:
        return Finding("patients", f"{known['patient_id'].nunique()} patients, {groups} groups")
    return Finding(
        "patients",
        f"unknown for {len(table) - len(known)} of {len(table)} slides, {groups} groups",
        "note",
        "add a patient_id column: splits keep patients together, and intervals resample them",
    )


def on_features(
    dataset: Dataset, facts: FeatureFacts | None, refusal: str | None
) -> Iterator[Finding]:
    """Features as packed, and slides without any."""
    if facts is None:
        told = refusal or "no slide has features"
        yield Finding("features", told, "problem", "only the labels were checked; pass --features")
        return
    yield Finding("features", str(facts))
    if dataset.missing:
        yield Finding(
            "features",
            f"{len(dataset.missing)} slides have no features: {_some(dataset.missing)}",
            "problem",
            "extract them, or skip them with --allow-missing, which boards report",
        )


def on_split(dataset: Dataset, asked: str | None) -> tuple[Split | None, list[Finding]]:
    """The split (default: the dataset's own choice), how it looks and whether it leaks."""
    try:
        split = make_split(asked or dataset.card.default_split, dataset)
    except SplitError as error:
        return None, [Finding("split", str(error), "problem", "choose another with --split")]
    sizes = ", ".join(f"{len(ids)} {name}" for name, ids in split[0].sets())
    folds = "1 fold" if len(split) == 1 else f"{len(split)} folds"
    found = [Finding("split", f"{split.name} ({split.mode}): {folds}; fold 0 has {sizes} slides")]
    try:
        split.check(dataset.manifest.groups())
        found.append(Finding("leaks", "no patient or group is in two sets of a fold"))
    except SplitError as error:
        advice = "a grouped split such as kfold-5 has no leaks"
        found.append(Finding("leaks", str(error), "problem", advice))
    return split, found


def _some(ids: pd.Series | tuple[str, ...]) -> str:
    more = f" and {len(ids) - SHOWN_IDS} more" * (len(ids) > SHOWN_IDS)
    comma = "; " if any("," in name for name in ids) else ", "
    return f"{comma.join(ids[:SHOWN_IDS])}{more}"


# Numbers of a dataset: sizes of its features, slides of its classes.


@dataclass(frozen=True)
class FeatureFacts:
    """Facts about packed features; sizes are instances per bag."""

    encoder: str
    dim: int
    dtype: str
    coords: bool
    smallest: int
    median: float
    largest: int
    total: int

    def __str__(self) -> str:
        """One line for people."""
        return (
            f"encoder {self.encoder}, D = {self.dim}, {self.dtype}, "
            f"{'with' if self.coords else 'without'} coordinates; bags of {self.smallest} to "
            f"{self.largest} instances (median {self.median:g}), {self.total} in all"
        )


def facts_of(store: BagStore) -> FeatureFacts:
    """Sizes, dimension and type of packed features."""
    sizes = np.array([length for _, length in store.rows.values()])
    return FeatureFacts(
        encoder=store.encoder,
        dim=store.dim,
        dtype=str(store.features.dtype),
        coords=store.coords is not None,
        smallest=int(sizes.min()),
        median=float(np.median(sizes)),
        largest=int(sizes.max()),
        total=int(sizes.sum()),
    )


def class_table(slides: pd.DataFrame, taxonomy: Taxonomy, split: Split | None) -> pd.DataFrame:
    """Slides, patients and groups of every class at every level, and slides per set of fold 0."""
    index = slides["label"].map(taxonomy.index).to_numpy()
    sets = {name: slides["slide_id"].isin(ids) for name, ids in split[0].sets()} if split else {}
    rows: list[Mapping[str, object]] = []
    for level in taxonomy.levels:
        of_level = taxonomy.ancestor_index(level)[index]
        for k, name in enumerate(taxonomy.classes[level]):
            mine = of_level == k
            patients = slides.loc[mine, "patient_id"]
            counts = {
                "slides": int(mine.sum()),
                "patients": patients[patients != ""].nunique(),
                "groups": slides.loc[mine, "group_id"].nunique(),
            }
            counts |= {s: int((mine & members).sum()) for s, members in sets.items()}
            rows.append({"level": level, "class": name, **counts})
    return pd.DataFrame(rows)
