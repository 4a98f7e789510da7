"""Many tests at once."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.stats import norm

from mil_bench.evaluation.inference.draws import CONFIDENCE


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjusted p ``(m,)`` (Holm 1979): ``max_{j <= i} min(1, (m - j + 1) p_(j))``.

    Undefined p (``nan``) stay undefined and are no tests.
    """
    raw = np.asarray(p, dtype=np.float64)
    adjusted = np.full(raw.shape, np.nan)
    order = np.argsort(raw)[: int((~np.isnan(raw)).sum())]
    steps = raw[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.maximum.accumulate(np.minimum(steps, 1))
    return adjusted


# Intervals of proportions near 0 or 1, where resampling sees no spread (12 of 12 is [1, 1]).


def effective_size(groups: NDArray[np.str_]) -> float:
    """Independent slides that slides of ``groups`` are worth at least, ``(sum m)^2 / sum m^2``.

    ``m`` are slides per patient (Kish 1965); as if a patient's slides were all alike.
    """
    sizes = np.unique(groups, return_counts=True)[1]
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0


def wilson(share: float, size: float) -> tuple[float, float]:
    """95 % interval of a proportion ``share`` of ``size`` independent slides (Wilson 1927).

    ``size`` may be an effective size; ``nan`` where it is 0.
    """
    if not size > 0:
        return float("nan"), float("nan")
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


# The smallest difference that a comparison of this size would find.

POWER = 0.8
ALPHA = 0.05
FACTOR = float(norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER))
"""2.80: a difference of so many standard errors is found with 80 % power at the 5 % level."""


def detectable_difference(error: float) -> float:
    """From the standard error of a paired difference, such as ``Replicated.error``."""
    return FACTOR * error


def detectable_accuracy(discordant: float, slides: int) -> float:
    """For accuracies on independent slides: ``2.80 sqrt(discordant / slides)`` (Connor 1987).

    ``discordant`` is the share of slides that one method decides rightly and the other wrongly.
    With slides of the same patients it is larger; use ``detectable_difference`` there.
    """
    return FACTOR * math.sqrt(discordant / slides)
