"""Intervals of proportions near 0 or 1, where resampling sees no spread (12 of 12 is [1, 1])."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mil_bench.evaluation.inference.draws import CONFIDENCE


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
