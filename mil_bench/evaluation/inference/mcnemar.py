"""Two methods on the same independent slides: who is right where the other is wrong?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mil_bench.base.errors import DataError


@dataclass(frozen=True)
class McNemar:
    """Slides that only one of two methods decides rightly, and the exact two-sided p."""

    only_a: int
    only_b: int
    p: float


def mcnemar(
    right_a: NDArray[np.bool_], right_b: NDArray[np.bool_], groups: NDArray[np.str_]
) -> McNemar:
    """Exact test (McNemar 1947) of ``(n,)`` right decisions of two methods on the same slides.

    Raises ``DataError`` where a patient in ``groups`` has several slides: the test takes every
    slide for a patient of its own and would be too sure.
    """
    patients = len(np.unique(groups))
    if patients < len(groups):
        raise DataError(
            f"the {len(groups)} slides belong to {patients} patients, but McNemar's test requires "
            "one slide per patient; use the paired bootstrap over patients."
        )
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    apart = only_a + only_b
    p = float(stats.binomtest(only_a, apart).pvalue) if apart else 1.0
    return McNemar(only_a, only_b, p)
