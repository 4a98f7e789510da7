"""Stored predictions: what every number on a leaderboard is computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import LEAF, Taxonomy


@dataclass(frozen=True)
class Predictions:
    """Probabilities of ``n`` slides.

    ``labels``  ``(n,)`` int64 leaf index
    ``heads``   level name -> ``(n, K_level)`` probabilities, rows sum to 1. ``leaf`` is always
                there; other levels only when the method has a direct head for them.
    ``groups``  ``(n,)`` patient (group) of each slide
    """

    taxonomy: Taxonomy
    slide_ids: NDArray[np.str_]
    groups: NDArray[np.str_]
    labels: NDArray[np.int64]
    heads: Mapping[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.labels)

    def leaves_alone(self) -> Predictions:
        """The same without the heads of upper levels."""
        return replace(self, heads={LEAF: self.heads[LEAF]})

    def summed(self, level: str) -> NDArray[np.float64]:
        """``(n, K_level)``: leaf probabilities summed under each class of ``level``."""
        return self.heads[LEAF] @ self.taxonomy.membership(level)

    def truth(self, level: str) -> NDArray[np.int64]:
        """``(n,)``: class index of the label at ``level``."""
        return self.taxonomy.ancestor_index(level)[self.labels]

    def column(self, level: str, index: int) -> str:
        """CSV column of one probability: ``leaf:DCIS``, ``coarse:malignant``."""
        return f"{level}:{self.taxonomy.classes[level][index]}"
