"""Spread over random initialisations, which is not spread over patients."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.resampling import REPLICATES

MEANINGFUL = 0.75
"""P(A > B) from which an improvement is worth having (Bouthillier et al. 2021)."""


def probability_better(
    a: ArrayLike, b: ArrayLike, replicates: int = REPLICATES, seed: int = 0
) -> Replicated:
    """P(A > B) paired over seeds, ties counting a half (Bouthillier et al., MLSys 2021).

    ``a`` and ``b`` ``(J,)`` are scores of which higher is better, of the same seeds in one order.
    The interval is the percentile bootstrap over pairs; A is better in a meaningful way where
    ``low > 0.5`` and ``value > 0.75``. ``nan`` without seeds.
    """
    wins = (1 + np.sign(np.subtract(a, b, dtype=np.float64))) / 2
    if not len(wins):
        return Replicated(float("nan"), np.full(replicates, np.nan))
    rng = np.random.default_rng(seed)
    drawn = wins[rng.integers(0, len(wins), (replicates, len(wins)))]
    return Replicated(float(wins.mean()), drawn.mean(1))


def probability_of_improvement(a: Mapping[str, ArrayLike], b: Mapping[str, ArrayLike]) -> float:
    """Mean over tasks of ``P(X > Y)``, the share ``U / (n m)`` of unpaired pairs of runs.

    ``a`` and ``b`` map the same tasks to scores of runs (Agarwal et al., NeurIPS 2021).
    """
    shares = []
    for task in a:
        x, y = (np.asarray(runs[task], dtype=np.float64) for runs in (a, b))
        shares.append(float(stats.mannwhitneyu(x, y).statistic) / (x.size * y.size))
    return float(np.mean(shares))


def interquartile_mean(scores: ArrayLike) -> float:
    """Mean of the middle half of all runs of all tasks (Agarwal et al., NeurIPS 2021).

    Meant for at least 5 seeds on at least 3 tasks.
    """
    return float(stats.trim_mean(np.ravel(scores), 0.25))
