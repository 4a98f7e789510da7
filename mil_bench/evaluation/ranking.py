"""Rankings of one class against the rest: ROC AUC, average precision, and their curves.

Curves of folds and seeds are averaged at equal places (vertical averaging, Fawcett, Pattern
Recognition Letters 27:861-874, 2006), so the area under the mean curve is the mean area.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.sums import Draws, Weights, ratio, sums_by

_FEW = 16
"""Columns up to which numpy's ``cumsum`` along the rows is faster than adding row by row."""
_TINY = 1e-9
FloatArray = NDArray[np.float64]


def ranking_scores(
    positive: NDArray[np.bool_], score: NDArray[np.float64], weights: Weights
) -> dict[str, Draws]:
    """Compute all scores of rankings in every replicate, ``(B,)`` each.

    ``positive`` and ``score`` are ``(n,)``, ``weights`` ``(n, B)``. ``nan`` where all weight is on
    one side.
    """
    auc, precision = auc_and_precision(positive, score, weights)
    return {"auc": auc, "ap": precision}


def auc_and_precision(
    positive: NDArray[np.bool_], score: NDArray[np.float64], weights: Weights
) -> tuple[Draws, Draws]:
    """Compute the AUC and average precision, ``(B,)`` each, sorting the slides a single time.

    ``AUC = sum_t P_t (N below t + N at t / 2) / (P N)`` and ``AP = sum_t P_t/P precision_t`` over
    the distinct scores ``t`` of positives, from above. Ties share a threshold, and nothing is
    interpolated. Negatives between two such scores are added up before anything else.
    """
    thresholds = np.unique(-score[positive])  # (T,), from the highest score of a positive on
    none = len(thresholds)  # the row of nothing: dropped by sums_by
    row = np.searchsorted(thresholds, -score)  # the first threshold that a score reaches
    p = sums_by(np.where(positive, row, none), none, weights)  # (T, B): weight of positives at t
    # (T, B): weight of negatives at t or between it and the one above
    n_above = sums_by(np.where(positive, none, row), none, weights)
    _accumulate(n_above)  # from the top down
    # Pairs in which the negative is not below.
    lost = np.einsum("tb,tb->b", p, n_above, dtype=np.float64)
    tied = ~positive & np.isin(-score, thresholds)  # negatives equal to a positive
    if tied.any():
        n_at = sums_by(np.where(tied, row, none), none, weights)
        lost -= np.einsum("tb,tb->b", p, n_at, dtype=np.float64) / 2  # a tie counts half
    all_n, all_p = sums_by(positive.astype(np.int64), 2, weights).astype(np.float64)
    area = ratio(all_p * all_n - lost, all_p * all_n)  # float64: products of sums of float32
    # Precision needs negatives too.
    return area, np.where(all_n > 0, ratio(_gain(p, n_above), all_p), np.nan)


def _gain(p: Weights, n_above: Weights) -> Draws:
    """Compute ``sum_t P_t precision_t``, ``(B,)``."""
    hits = p.copy()
    _accumulate(hits)
    chosen = np.maximum(hits + n_above, np.finfo(np.float32).tiny)  # 0 before the first hit
    precision = np.divide(hits, chosen, dtype=np.float64)  # (T, B): precision at every threshold
    return np.asarray(np.einsum("tb,tb->b", p, precision, dtype=np.float64))


def _accumulate(rows: Weights) -> None:
    """Add up from the first row down, in place.

    numpy's ``cumsum`` walks along columns, which misses the cache where rows are long.
    """
    if rows.shape[1] <= _FEW:
        np.cumsum(rows, axis=0, out=rows)
        return
    for above, row in itertools.pairwise(rows):
        row += above


def sensitivity_at(
    fpr: FloatArray, positive: NDArray[np.bool_], score: FloatArray, weights: NDArray[np.float32]
) -> FloatArray:
    """Return sensitivity at false-positive rates, ``(len(fpr), B)``, for weights ``(n, B)``.

    Straight between thresholds, as the AUC counts ties; the upper end where the curve rises.
    ``nan`` in a column without weight on a side.
    """
    hits, alarms = _rates(positive, score, weights)
    curves = [
        np.interp(fpr, np.append(0, x), np.append(0, y))
        for x, y in zip(alarms.T, hits.T, strict=True)  # starting at (0, 0)
    ]
    return _defined(np.stack(curves, axis=1), hits, alarms)


def precision_at(
    recall: FloatArray, positive: NDArray[np.bool_], score: FloatArray, weights: NDArray[np.float32]
) -> FloatArray:
    """Return precision at the first threshold that reaches a recall, ``(len(recall), B)``.

    Steps without interpolation, as average precision counts them, for slide weights ``(n, B)``.
    ``nan`` in a column without weight on a side.
    """
    hits, alarms = _rates(positive, score, weights)
    mass = [weights[side].sum(0, dtype=np.float64) for side in (positive, ~positive)]
    precision = ratio(hits * mass[0], hits * mass[0] + alarms * mass[1])
    # The first threshold with at least this recall; recall 0 starts at the first hit.
    first = [np.searchsorted(y, np.maximum(recall - _TINY, _TINY)) for y in hits.T]
    last = len(hits) - 1
    curves = [p[np.minimum(i, last)] for p, i in zip(precision.T, first, strict=True)]
    return _defined(np.stack(curves, axis=1), hits, alarms)


def _rates(
    positive: NDArray[np.bool_], score: FloatArray, weights: NDArray[np.float32]
) -> tuple[FloatArray, FloatArray]:
    """``(thresholds, B)`` each: shares of positives and of negatives at or above thresholds."""
    order = np.argsort(-score, kind="stable")
    # The last slide of every group of equal scores.
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    shares = []
    for side in (positive, ~positive):
        # float64: sums over all slides.
        sums = np.cumsum(np.where(side[order, None], weights[order], 0), axis=0, dtype=np.float64)
        shares.append(ratio(sums[ends], sums[-1:]))  # shares of the side's weight
    return shares[0], shares[1]


def _defined(curves: FloatArray, hits: FloatArray, alarms: FloatArray) -> FloatArray:
    # The last row is 1, or undefined without weight.
    lacking = np.isnan(hits[-1]) | np.isnan(alarms[-1])
    return np.where(lacking, np.nan, curves)
