"""Stored predictions, from which every number on a leaderboard is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.groups import patients_known

SeedFold = tuple[int, int]
"""Which run of a method: its seed and its fold."""
Source = Literal["summed", "direct"]
"""How a level is decided: from leaf probabilities or by its own head."""


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

    @property
    def patients_known(self) -> bool:
        """Return whether any slide has a patient (group) other than itself."""
        return patients_known(self.slide_ids.tolist(), self.groups.tolist())

    def leaves_alone(self) -> Predictions:
        """Return the same without the heads of upper levels."""
        return replace(self, heads={LEAF: self.heads[LEAF]})

    def summed(self, level: str) -> NDArray[np.float64]:
        """Sum the leaf probabilities under each class of ``level``: ``(n, K_level)``."""
        return self.heads[LEAF] @ self.taxonomy.membership(level)  # (n, K_leaf) (K_leaf, K_level)

    def sources(self, level: str) -> tuple[Source, ...]:
        """Return how ``level`` can be decided: leaves directly, upper levels summed and by head."""
        if level == LEAF:
            return ("direct",)
        return ("summed", "direct") if level in self.heads else ("summed",)

    def probabilities(self, level: str, source: str) -> NDArray[np.float64]:
        """Return the probabilities ``(n, K_level)`` of a level, ``summed`` or ``direct``.

        Raises ``DataError`` for a direct head that the predictions do not have.
        """
        if source == "summed":
            return self.summed(level)
        if level not in self.heads:
            raise DataError(
                f"these predictions have direct heads for {sorted(self.heads)}, not for {level!r}; "
                "score that level with source='summed'."
            )
        return self.heads[level]

    def cut(self, rows: NDArray[Any] | Sequence[int]) -> Predictions:
        """Return the slides at ``rows``, in that order."""
        heads = {level: probs[rows] for level, probs in self.heads.items()}
        return Predictions(
            self.taxonomy, self.slide_ids[rows], self.groups[rows], self.labels[rows], heads
        )

    def truth(self, level: str) -> NDArray[np.int64]:
        """Return the class index of the label at ``level``, ``(n,)``."""
        return self.taxonomy.ancestor_index(level)[self.labels]

    def column(self, level: str, index: int) -> str:
        """Return the CSV column of one probability: ``leaf:DCIS``, ``coarse:malignant``."""
        return f"{level}:{self.taxonomy.classes[level][index]}"
