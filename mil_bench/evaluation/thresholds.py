"""Thresholds of one class against the rest, to be chosen on validation slides.

A slide is called positive from the threshold on. All are ``nan`` without a positive or a negative.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray


def youden_threshold(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """The score ``(n,)`` at which sensitivity + specificity is largest, the highest of equals.

    Youden (Cancer 3:32-35, 1950).
    """
    if not _both(positive):
        return float("nan")
    candidates = np.unique(score)[::-1]
    hits = _from_above(score[positive], candidates) / positive.sum()
    alarms = _from_above(score[~positive], candidates) / (~positive).sum()
    return float(candidates[(hits - alarms).round(12).argmax()])


def sensitivity_threshold(
    positive: NDArray[np.bool_], score: NDArray[np.float64], target: float
) -> float:
    """The highest score at which at least ``target`` of the positives are found."""
    if not _both(positive):
        return float("nan")
    found = np.sort(score[positive])[::-1]
    return float(found[math.ceil(round(target * len(found), 9)) - 1])


def _from_above(score: NDArray[np.float64], candidates: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of ``score`` are at least each candidate."""
    return len(score) - np.searchsorted(np.sort(score), candidates, side="left")


def _both(positive: NDArray[np.bool_]) -> bool:
    return bool(positive.any() and not positive.all())
