"""Scores of rankings, one class against the rest: ROC AUC and average precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mil_bench.evaluation.undefined import mean_defined


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
