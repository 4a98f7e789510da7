"""Scores of decisions: everything that follows from a confusion matrix.

Functions of a matrix take any number of them at once, ``(..., K, K)``: counts, or sums of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.evaluation.sums import means_defined, ratio


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


# Scores for ordered classes (grades): weighted kappa, error in grades, ranked probability.


def is_ordered(taxonomy: Taxonomy, level: str) -> bool:
    """Whether the classes of ``level`` are in clinical order and cut the leaves in one piece each.

    A level that interleaves the leaf order has no order of its own.
    """
    steps = np.diff(taxonomy.ancestor_index(level))
    return taxonomy.ordered and bool((steps >= 0).all())


def grade_scores(matrix: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """All scores of decisions about grades, each ``(...)``, of matrices ``(..., K, K)``."""
    return {
        "qwk": weighted_kappa(matrix, 2),
        "linear_kappa": weighted_kappa(matrix, 1),
        "mae": mean_grade_error(matrix),
    }


def weighted_kappa(matrix: NDArray[Any], power: int) -> NDArray[np.float64]:
    """Cohen's kappa with weights ``|i - j|^power`` (1 linear, 2 quadratic; Cohen 1968).

    ``matrix`` holds confusion matrices ``(..., K, K)``. 0 is chance agreement given the margins;
    ``nan`` when truth and decisions hold one and the same class.
    """
    weights = _grades_apart(matrix.shape[-1]) ** power
    expected = matrix.sum(-1)[..., :, None] * matrix.sum(-2)[..., None, :]
    observed = (weights * matrix).sum((-2, -1)) * matrix.sum((-2, -1))
    return 1 - ratio(observed, (weights * expected).sum((-2, -1)))


def mean_grade_error(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Mean absolute difference between decided and true grade, in grades; ``(...)``."""
    apart = _grades_apart(matrix.shape[-1])
    return ratio((apart * matrix).sum((-2, -1)), matrix.sum((-2, -1)))


def ranked_error(truth: NDArray[np.int64], probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n,)``: ``sum_k (F_k - 1[y <= k])^2 / (K - 1)`` of each slide (Epstein 1969); proper.

    ``F`` is the cumulative probability of ``probs`` ``(n, K)``. 0 is perfect, 1 the worst; the mean
    is the ranked probability score.
    """
    classes = probs.shape[1]
    reached = truth[:, None] <= np.arange(classes)
    squares = (np.cumsum(probs, axis=1) - reached) ** 2
    return np.asarray(squares[:, :-1].sum(1) / (classes - 1))


def _grades_apart(classes: int) -> NDArray[np.float64]:
    grade = np.arange(classes, dtype=np.float64)
    return np.abs(grade[:, None] - grade[None])
