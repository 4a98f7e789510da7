"""ROC and precision-recall curves of one class against the rest, read off at given places.

Curves of folds and seeds are averaged at equal places (vertical averaging, Fawcett, Pattern
Recognition Letters 27:861-874, 2006), so the area under the mean curve is the mean area.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.sums import ratio

Values = NDArray[np.float64]
_TINY = 1e-9


def sensitivity_at(
    fpr: Values, positive: NDArray[np.bool_], score: Values, weights: NDArray[np.float32]
) -> Values:
    """Return sensitivity at false-positive rates, ``(len(fpr), B)``, for weights ``(n, B)``.

    Straight between thresholds, as the AUC counts ties; the upper end where the curve rises.
    ``nan`` in a column without weight on a side.
    """
    hits, alarms = _rates(positive, score, weights)
    curves = [
        np.interp(fpr, np.append(0, x), np.append(0, y))
        for x, y in zip(alarms.T, hits.T, strict=True)
    ]
    return _defined(np.stack(curves, axis=1), hits, alarms)


def precision_at(
    recall: Values, positive: NDArray[np.bool_], score: Values, weights: NDArray[np.float32]
) -> Values:
    """Return precision at the first threshold that reaches a recall, ``(len(recall), B)``.

    Steps without interpolation, as average precision counts them, for slide weights ``(n, B)``.
    ``nan`` in a column without weight on a side.
    """
    hits, alarms = _rates(positive, score, weights)
    mass = [weights[side].sum(0, dtype=np.float64) for side in (positive, ~positive)]
    precision = ratio(hits * mass[0], hits * mass[0] + alarms * mass[1])
    first = [np.searchsorted(y, np.maximum(recall - _TINY, _TINY)) for y in hits.T]
    last = len(hits) - 1
    curves = [p[np.minimum(i, last)] for p, i in zip(precision.T, first, strict=True)]
    return _defined(np.stack(curves, axis=1), hits, alarms)


def _rates(
    positive: NDArray[np.bool_], score: Values, weights: NDArray[np.float32]
) -> tuple[Values, Values]:
    """``(thresholds, B)`` each: shares of positives and of negatives at or above thresholds."""
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    shares = []
    for side in (positive, ~positive):
        sums = np.cumsum(np.where(side[order, None], weights[order], 0), axis=0, dtype=np.float64)
        shares.append(ratio(sums[ends], sums[-1:]))
    return shares[0], shares[1]


def _defined(curves: Values, hits: Values, alarms: Values) -> Values:
    lacking = np.isnan(hits[-1]) | np.isnan(alarms[-1])
    return np.where(lacking, np.nan, curves)
