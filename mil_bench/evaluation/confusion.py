"""Scores of decisions: everything that follows from a confusion matrix.

Functions of a matrix take any number of them at once, ``(..., K, K)``: counts, or sums of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.undefined import means_defined, ratio


def confusion_matrix(
    truth: NDArray[np.int64], decision: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """``(K, K)`` counts: row = true class, column = decided class, of ``(n,)`` class indices."""
    cells = np.bincount(truth * classes + decision, minlength=classes * classes)
    return cells.reshape(classes, classes)


@dataclass(frozen=True)
class OneVsRest:
    """Counts ``(..., K)`` of every class against the rest. Quotients of nothing are ``nan``."""

    tp: NDArray[Any]
    fp: NDArray[Any]
    fn: NDArray[Any]
    tn: NDArray[Any]

    @classmethod
    def of(cls, matrix: NDArray[Any]) -> OneVsRest:
        """From confusion matrices ``(..., K, K)``.

        Nothing is subtracted, so that a sum over no slide is 0 for weights, too.
        """
        off = 1 - np.eye(matrix.shape[-1], dtype=matrix.dtype)
        wrong = matrix * off
        rest = off @ matrix @ off
        return cls(_diagonal(matrix), wrong.sum(-2), wrong.sum(-1), _diagonal(rest))

    @property
    def sensitivity(self) -> NDArray[np.float64]:
        """TP / (TP + FN), recall."""
        return ratio(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> NDArray[np.float64]:
        """TN / (TN + FP)."""
        return ratio(self.tn, self.tn + self.fp)

    @property
    def ppv(self) -> NDArray[np.float64]:
        """TP / (TP + FP), precision; undefined for a class that is never decided."""
        return ratio(self.tp, self.tp + self.fp)

    @property
    def npv(self) -> NDArray[np.float64]:
        """TN / (TN + FN)."""
        return ratio(self.tn, self.tn + self.fn)

    @property
    def f1(self) -> NDArray[np.float64]:
        """2 TP / (2 TP + FP + FN); undefined for a class neither present nor decided."""
        return ratio(2 * self.tp, 2 * self.tp + self.fp + self.fn)


def accuracy(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Share of right decisions, ``(...)``."""
    return ratio(_diagonal(matrix).sum(-1), matrix.sum((-2, -1)))


def balanced_accuracy(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Mean sensitivity of the classes that are present; chance is 1 / number of them."""
    return means_defined(OneVsRest.of(matrix).sensitivity)


def macro_f1(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Mean F1 of the classes that are present or decided (as scikit-learn)."""
    return means_defined(OneVsRest.of(matrix).f1)


def worst_sensitivity(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Sensitivity of the worst class that is present."""
    worst: NDArray[np.float64] = np.fmin.reduce(OneVsRest.of(matrix).sensitivity, axis=-1)
    return worst


def decision_scores(matrix: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """All scores of decisions whose classes have no order, each ``(...)``."""
    return {
        "accuracy": accuracy(matrix),
        "balanced_accuracy": balanced_accuracy(matrix),
        "macro_f1": macro_f1(matrix),
        "worst_sensitivity": worst_sensitivity(matrix),
    }


def _diagonal(matrix: NDArray[Any]) -> NDArray[Any]:
    return np.diagonal(matrix, axis1=-2, axis2=-1)
