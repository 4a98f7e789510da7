"""Scores of decisions: everything that follows from a confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.undefined import mean_defined, ratio


def confusion_matrix(
    truth: NDArray[np.int64], decision: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """``(K, K)`` counts: row = true class, column = decided class, of ``(n,)`` class indices."""
    cells = np.bincount(truth * classes + decision, minlength=classes * classes)
    return cells.reshape(classes, classes)


@dataclass(frozen=True)
class OneVsRest:
    """Counts ``(K,)`` of every class against the rest. Quotients of nothing are ``nan``."""

    tp: NDArray[np.int64]
    fp: NDArray[np.int64]
    fn: NDArray[np.int64]
    tn: NDArray[np.int64]

    @classmethod
    def of(cls, matrix: NDArray[np.int64]) -> OneVsRest:
        """From a confusion matrix ``(K, K)``."""
        tp = np.diag(matrix)
        fp, fn = matrix.sum(0) - tp, matrix.sum(1) - tp
        return cls(tp, fp, fn, matrix.sum() - tp - fp - fn)

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


def accuracy(matrix: NDArray[np.int64]) -> float:
    """Share of right decisions."""
    return float(ratio(np.trace(matrix), matrix.sum()))


def balanced_accuracy(matrix: NDArray[np.int64]) -> float:
    """Mean sensitivity of the classes that are present; chance is 1 / number of them."""
    return mean_defined(OneVsRest.of(matrix).sensitivity)


def macro_f1(matrix: NDArray[np.int64]) -> float:
    """Mean F1 of the classes that are present or decided (as scikit-learn)."""
    return mean_defined(OneVsRest.of(matrix).f1)


def worst_sensitivity(matrix: NDArray[np.int64]) -> float:
    """Sensitivity of the worst class that is present."""
    recall = OneVsRest.of(matrix).sensitivity
    present = recall[~np.isnan(recall)]
    return float(present.min()) if present.size else float("nan")
