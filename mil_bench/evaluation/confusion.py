"""Scores of decisions: everything that follows from a confusion matrix.

Functions of a matrix take any number of them at once, ``(..., K, K)``: counts, or sums of weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.evaluation.sums import Weights, means_defined, ratio, sums_by


def confusion_matrix(
    truth: NDArray[np.int64], decision: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Count slides ``(K, K)``: row = true class, column = decided class, of ``(n,)`` indices."""
    # One count per (truth, decision) pair.
    cells = np.bincount(truth * classes + decision, minlength=classes * classes)
    return cells.reshape(classes, classes)


def confusion_matrices(
    truth: NDArray[np.int64], decision: NDArray[np.int64], classes: int, weights: Weights
) -> NDArray[np.float64]:
    """Add up slide weights ``(n, B)``: ``(B, K, K)``, row = true class, column = decided class."""
    cells = sums_by(truth * classes + decision, classes * classes, weights)
    return cells.T.reshape(-1, classes, classes).astype(np.float64)  # (K * K, B) -> (B, K, K)


def decision_scores(matrix: NDArray[Any], ordered: bool = False) -> dict[str, NDArray[np.float64]]:
    """Compute all scores of decisions, each ``(...)``; those of grades for ``ordered`` classes."""
    scores = {
        "accuracy": accuracy(matrix),
        "balanced_accuracy": balanced_accuracy(matrix),
        "macro_f1": macro_f1(matrix),
        "worst_sensitivity": worst_sensitivity(matrix),
    }
    if ordered:
        scores["qwk"] = weighted_kappa(matrix, 2)
        scores["linear_kappa"] = weighted_kappa(matrix, 1)
        scores["mae"] = mean_grade_error(matrix)
    return scores


def class_rates(matrix: NDArray[Any]) -> dict[str, NDArray[np.float64]]:
    """Compute all scores of decisions about one class, each ``(..., K)``."""
    counts = OneVsRest.of(matrix)
    return {
        "sensitivity": counts.sensitivity,
        "specificity": counts.specificity,
        "ppv": counts.ppv,
        "npv": counts.npv,
        "f1": counts.f1,
    }


@dataclass(frozen=True)
class OneVsRest:
    """Counts ``(..., K)`` of every class against the rest. Quotients of nothing are ``nan``."""

    tp: NDArray[Any]
    fp: NDArray[Any]
    fn: NDArray[Any]
    tn: NDArray[Any]

    @classmethod
    def of(cls, matrix: NDArray[Any]) -> OneVsRest:
        """Compute the sums from confusion matrices ``(..., K, K)``.

        Nothing is subtracted, so that a sum over no slide is 0 for weights, too.
        """
        off = 1 - np.eye(matrix.shape[-1], dtype=matrix.dtype)  # 1 beside the diagonal
        wrong = matrix * off  # mistakes only
        # (k, k) of the product sums all cells outside of row k and column k: the true negatives.
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
    """Return the share of right decisions, ``(...)``."""
    return ratio(_diagonal(matrix).sum(-1), matrix.sum((-2, -1)))


def balanced_accuracy(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Average the sensitivity of the classes that are present; chance is 1 / number of them."""
    return means_defined(OneVsRest.of(matrix).sensitivity)


def macro_f1(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Average the F1 of the classes that are present or decided (as scikit-learn)."""
    return means_defined(OneVsRest.of(matrix).f1)


def worst_sensitivity(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sensitivity of the worst class that is present."""
    # fmin ignores classes that are absent.
    worst: NDArray[np.float64] = np.fmin.reduce(OneVsRest.of(matrix).sensitivity, axis=-1)
    return worst


def weighted_kappa(matrix: NDArray[Any], power: int) -> NDArray[np.float64]:
    """Compute Cohen's kappa with weights ``|i - j|^power`` (1 linear, 2 quadratic; Cohen 1968).

    ``matrix`` holds confusion matrices ``(..., K, K)``. 0 is chance agreement given the margins;
    ``nan`` when truth and decisions hold one and the same class.
    """
    weights = _grades_apart(matrix.shape[-1]) ** power
    # Agreement by chance, given the margins, and observed: both times n^2.
    expected = matrix.sum(-1)[..., :, None] * matrix.sum(-2)[..., None, :]
    observed = (weights * matrix).sum((-2, -1)) * matrix.sum((-2, -1))
    return 1 - ratio(observed, (weights * expected).sum((-2, -1)))


def mean_grade_error(matrix: NDArray[Any]) -> NDArray[np.float64]:
    """Average the absolute difference of decided and true grade, in grades; ``(...)``."""
    apart = _grades_apart(matrix.shape[-1])
    return ratio((apart * matrix).sum((-2, -1)), matrix.sum((-2, -1)))


def is_ordered(taxonomy: Taxonomy, level: str) -> bool:
    """Return whether the classes of ``level`` are in clinical order.

    Leaves must be ordered, and each class of the level one interval of them.
    """
    # The ancestors of ordered leaves must never step back.
    steps = np.diff(taxonomy.ancestor_index(level))
    return taxonomy.ordered and bool((steps >= 0).all())


def _diagonal(matrix: NDArray[Any]) -> NDArray[Any]:
    return np.diagonal(matrix, axis1=-2, axis2=-1)


def _grades_apart(classes: int) -> NDArray[np.float64]:
    grade = np.arange(classes, dtype=np.float64)
    return np.abs(grade[:, None] - grade[None])
