"""Numbers of a dataset: sizes of its features, slides of its classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mil_bench.bags.splits.split import Split
from mil_bench.bags.store import BagStore
from mil_bench.taxonomy import Taxonomy


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
