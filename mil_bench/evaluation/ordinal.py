"""Scores for ordered classes (grades): weighted kappa, error in grades, ranked probability."""

from __future__ import annotations

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


def weighted_kappa(matrix: NDArray[np.int64], power: int) -> float:
    """Cohen's kappa with weights ``|i - j|^power`` (1 linear, 2 quadratic; Cohen 1968).

    ``matrix`` is a confusion matrix ``(K, K)``. 0 is chance agreement given the margins; ``nan``
    when truth and decisions hold one and the same class.
    """
    grade = np.arange(len(matrix))
    weights = np.abs(grade[:, None] - grade[None]).astype(np.float64) ** power
    expected = np.outer(matrix.sum(1), matrix.sum(0))
    observed = (weights * matrix).sum() * matrix.sum()
    return float(1 - ratio(observed, (weights * expected).sum()))


def mean_grade_error(matrix: NDArray[np.int64]) -> float:
    """Mean absolute difference between decided and true grade, in grades."""
    grade = np.arange(len(matrix))
    distance = np.abs(grade[:, None] - grade[None])
    return float(ratio((distance * matrix).sum(), matrix.sum()))


def ranked_probability_score(truth: NDArray[np.int64], probs: NDArray[np.float64]) -> float:
    """Mean over slides of ``sum_k (F_k - 1[y <= k])^2 / (K - 1)`` (Epstein 1969); proper.

    ``F`` is the cumulative probability of ``probs`` ``(n, K)``. 0 is perfect, 1 the worst.
    """
    classes = probs.shape[1]
    reached = truth[:, None] <= np.arange(classes)
    squares = (np.cumsum(probs, axis=1) - reached) ** 2
    return float(squares[:, :-1].sum(1).mean() / (classes - 1))
