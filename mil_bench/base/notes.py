"""Remarks on data and results, each with the kind of fact that it states."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NoteKind = Literal[
    "leak",  # patients (groups) are in two sets of a fold
    "data",  # what the data are: simulated, incomplete, with doubtful labels
    "patients",  # unknown patients, few patients, few slides
    "split",  # how folds were made
    "training",  # folds, seeds and settings of the trainings
    "comparison",  # rows that cannot be compared, or are not above chance
    "hierarchy",  # heads, controls and trees
    "tuning",  # searches
    "coverage",  # runs that are missing
]


@dataclass(frozen=True)
class Note:
    """One sentence and the kind of fact behind it, on which programs decide."""

    kind: NoteKind
    text: str

    def __str__(self) -> str:
        return self.text
