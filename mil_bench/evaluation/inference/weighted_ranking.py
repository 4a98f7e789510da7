"""ROC AUC and average precision of all replicates at once: slides are sorted a single time."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.inference.resampling import Weights
from mil_bench.evaluation.inference.weighted import sums_by
from mil_bench.evaluation.undefined import ratio


def auc_and_precision(
    positive: NDArray[np.bool_], score: NDArray[np.float64], weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted AUC and average precision, ``(B,)`` each, of slides ``(n,)`` weighing ``(n, B)``.

    ``AUC = sum_t P_t (N below t + N at t / 2) / (P N)`` and ``AP = sum_t P_t/P precision_t`` over
    the distinct scores ``t`` of positives, from above. Negatives between two such scores are added
    up before anything else. ``nan`` where all weight is on one side.
    """
    thresholds = np.unique(-score[positive])
    none = len(thresholds)
    row = np.searchsorted(thresholds, -score)
    p = sums_by(np.where(positive, row, none), none, weights)
    n_above = sums_by(np.where(positive, none, row), none, weights)
    _accumulate(n_above)
    lost = np.einsum("tb,tb->b", p, n_above, dtype=np.float64)
    tied = ~positive & np.isin(-score, thresholds)
    if tied.any():
        n_at = sums_by(np.where(tied, row, none), none, weights)
        lost -= np.einsum("tb,tb->b", p, n_at, dtype=np.float64) / 2
    all_n, all_p = sums_by(positive.astype(np.int64), 2, weights).astype(np.float64)
    auc = ratio(all_p * all_n - lost, all_p * all_n)
    return auc, np.where(all_n > 0, ratio(_gain(p, n_above), all_p), np.nan)


def _gain(p: Weights, n_above: Weights) -> NDArray[np.float64]:
    """``(B,)``: ``sum_t P_t precision_t``."""
    hits = p.copy()
    _accumulate(hits)
    chosen = np.maximum(hits + n_above, np.finfo(np.float32).tiny)  # 0 before the first hit
    precision = np.divide(hits, chosen, dtype=np.float64)
    return np.asarray(np.einsum("tb,tb->b", p, precision, dtype=np.float64))


def _accumulate(rows: Weights) -> None:
    """Running sums from the first row down, in place (numpy's ``cumsum`` walks along columns)."""
    for above, row in itertools.pairwise(rows):
        row += above
