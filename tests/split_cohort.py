"""Small datasets for the tests of splits: labels and patients, with a store of no interest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetCard
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.split import Split
from mil_bench.contract.store import BagStore


def dataset(
    manifest: Manifest,
    missing: Sequence[str] = (),
    not_for_training: Sequence[str] = (),
    official: Split | None = None,
) -> Dataset:
    tree = Taxonomy.flat("toy", sorted({"A", "B", *manifest.table["label"]}))
    card = DatasetCard("toy", "Toy", "", "", "", {"toy": tree}, "toy")
    features = np.zeros((len(manifest), 2), np.float32)
    rows = {slide: (i, 1) for i, slide in enumerate(manifest.slide_ids)}
    return Dataset(
        card=card,
        kind="embedded",
        manifest=manifest,
        taxonomy=tree,
        store=BagStore("toy", features, None, rows, "0"),
        official=official,
        missing=tuple(missing),
        not_for_training=frozenset(not_for_training),
    )


def of_patients(patients: Sequence[Sequence[str]], **options) -> Dataset:
    """One entry per patient: the classes of the patient's slides."""
    rows = [(p, label) for p, labels in enumerate(patients) for label in labels]
    return dataset(
        Manifest.build(
            slide_id=[f"S_{i:03d}" for i in range(len(rows))],
            label=[label for _, label in rows],
            patient_id=[f"P{p}" for p, _ in rows],
        ),
        **options,
    )


def mixed(n: int = 40) -> Dataset:
    """``n`` patients of one to three slides; every fourth has slides of two classes."""
    return of_patients(
        [
            ("ABC"[p % 3],) * (1 + p % 3) + (("ABC"[(p + 1) % 3],) if p % 4 == 0 else ())
            for p in range(n)
        ]
    )


def bracs(shared) -> Dataset:
    table = pd.read_excel(shared / "data/labels/bracs/BRACS.xlsx")
    return dataset(Manifest.build(table["WSI Filename"], table["WSI label"], table["Patient Id"]))


def note_text(split: Split) -> str:
    """All notes on a split as one text."""
    return " ".join(note.text for note in split.notes)
