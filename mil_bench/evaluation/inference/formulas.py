"""Statistics with closed formulas, which require no draws."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.stats import norm

from mil_bench.evaluation.inference.draws import CONFIDENCE

POWER = 0.8
ALPHA = 0.05
FACTOR = float(norm.ppf(1 - ALPHA / 2) + norm.ppf(POWER))
"""2.80: a difference of so many standard errors is detected with 80 % power at the 5 % level."""


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """Adjust p ``(m,)`` for many tests (Holm 1979): ``max_{j <= i} min(1, (m - j + 1) p_(j))``.

    Undefined p (``nan``) stay undefined and do not count as tests.
    """
    raw = np.asarray(p, dtype=np.float64)
    adjusted = np.full(raw.shape, np.nan)
    order = np.argsort(raw)[: int((~np.isnan(raw)).sum())]  # nan is last, and left out
    steps = raw[order] * np.arange(len(order), 0, -1)  # (m - j + 1) p_(j)
    adjusted[order] = np.maximum.accumulate(np.minimum(steps, 1))  # never below a smaller p
    return adjusted


def detectable_difference(error: float) -> float:
    """Return the smallest difference that a comparison of this standard error would detect.

    ``error`` is that of a paired difference, such as ``Replicated.error``.
    """
    return FACTOR * error


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> float:
    """Return the exact two-sided p (McNemar 1947) of ``(n,)`` right decisions of two methods.

    Slides must be independent: one per patient. 1 where the methods never differ.
    """
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    apart = only_a + only_b
    # The binomial of the slides on which they differ.
    return float(stats.binomtest(only_a, apart).pvalue) if apart else 1.0


def wilson(share: float, size: float) -> tuple[float, float]:
    """Return the 95 % interval of a proportion of ``size`` independent slides (Wilson 1927).

    It is meant for a ``share`` near 0 or 1, where resampling sees no spread (12 of 12 is [1, 1]).
    ``size`` may be an effective size; ``nan`` where it is 0.
    """
    if not size > 0:  # not >: NaN is refused too
        return float("nan"), float("nan")
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    centre = (share + z**2 / (2 * size)) / (1 + z**2 / size)
    half = z * np.sqrt(share * (1 - share) / size + z**2 / (4 * size**2)) / (1 + z**2 / size)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))  # rounding at the ends


def effective_size(groups: NDArray[np.str_]) -> float:
    """Return how many independent slides those of ``groups`` are at least: ``(sum m)^2 / sum m^2``.

    ``m`` are slides per patient (Kish 1965), as if a patient's slides were all alike.
    """
    sizes = np.unique(groups, return_counts=True)[1]
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0
