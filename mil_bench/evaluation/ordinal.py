"""Scores for ordered classes (grades): weighted kappa, error in grades, ranked probability."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.undefined import ratio
from mil_bench.taxonomy import Taxonomy


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
