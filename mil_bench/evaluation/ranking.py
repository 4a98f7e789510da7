"""Scores of rankings, one class against the rest: ROC AUC and average precision."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mil_bench.evaluation.inference.resampling import Weights
from mil_bench.evaluation.inference.weighted import sums_by
from mil_bench.evaluation.sums import mean_defined, ratio


def auc(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """P(a positive scores above a negative), ties counting a half (Mann-Whitney).

    ``positive`` and ``score`` are ``(n,)``. ``nan`` without a positive or without a negative.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    if m == 0 or n == 0:
        return float("nan")
    above = rankdata(score)[positive].sum() - m * (m + 1) / 2
    return float(above / (m * n))


def average_precision(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Sum of precision x gain in recall over the distinct thresholds (no interpolation).

    Tied scores share one threshold, so the order of slides is irrelevant. ``nan`` without a
    positive or without a negative; chance is the prevalence.
    """
    if positive.all() or not positive.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    threshold = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(positive[order])[threshold]
    gained = np.diff(hits, prepend=0)
    return float((gained * hits / (threshold + 1)).sum() / hits[-1])


def class_aucs(truth: NDArray[np.int64], probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(K,)``: AUC of every class against the rest, from ``(n,)`` and ``(n, K)``."""
    return np.array([auc(truth == k, probs[:, k]) for k in range(probs.shape[1])])


def macro_auc(truth: NDArray[np.int64], probs: NDArray[np.float64]) -> float:
    """Mean one-vs-rest AUC of the classes for which it is defined (present, and not alone)."""
    return mean_defined(class_aucs(truth, probs))


# ROC AUC and average precision of all replicates at once: slides are sorted a single time.


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
