"""Scores of probabilities: Brier, log loss, ranked probability score, calibration error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mil_bench.evaluation.sums import (
    Draws,
    SlideRatio,
    Weights,
    ratio,
    weighted_ratios,
    weighted_sums,
)

BINS = 15


def probability_scores(
    truth: NDArray[np.int64], probs: NDArray[np.float64], ordered: bool, weights: Weights
) -> dict[str, Draws]:
    """Compute all scores of probabilities ``(n, K)`` in every replicate of weights ``(n, B)``.

    The ranked probability score exists for ``ordered`` classes only.
    """
    means = {"brier": squared_error(truth, probs), "log_loss": surprise(truth, probs)}
    if ordered:
        means["rps"] = ranked_error(truth, probs)
    ratios = {metric: SlideRatio.mean(terms) for metric, terms in means.items()}
    errors = calibration_errors(truth, probs, weights)
    return {**weighted_ratios(ratios, weights), "ece": errors}


def squared_error(truth: NDArray[np.int64], probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute ``sum_k (p_k - 1[y = k])^2`` of each slide ``(n,)``; the mean is the Brier score."""
    target = np.eye(probs.shape[1])[truth]  # (n, K) one-hot
    return np.asarray(((probs - target) ** 2).sum(1))


def surprise(truth: NDArray[np.int64], probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute ``-log p[y]`` of each slide ``(n,)`` in nats, whose mean is the log loss.

    Probabilities below float64's epsilon count as epsilon.
    """
    chosen = probs[np.arange(len(truth)), truth]
    # One certain mistake must not make the mean infinite.
    return np.asarray(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1)))


def ranked_error(truth: NDArray[np.int64], probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute ``sum_k (F_k - 1[y <= k])^2 / (K - 1)`` of each slide ``(n,)`` (Epstein 1969).

    ``F`` is the cumulative probability of ``probs`` ``(n, K)``. 0 is perfect, 1 the worst; the mean
    is the ranked probability score, which is proper.
    """
    classes = probs.shape[1]
    reached = truth[:, None] <= np.arange(classes)  # F of the truth: 0 below it, 1 from it on
    squares = (np.cumsum(probs, axis=1) - reached) ** 2
    # The last F is 1 for both; K - 1 makes the worst 1.
    return np.asarray(squares[:, :-1].sum(1) / (classes - 1))


def calibration_errors(
    truth: NDArray[np.int64], probs: NDArray[np.float64], weights: Weights, bins: int = BINS
) -> Draws:
    """Compute ``sum_b n_b / n |accuracy_b - confidence_b|`` of the decided class, ``(B,)``.

    Bins hold equally many slides (Naeini 2015, Guo 2017) and are those of the unweighted sample in
    every replicate, so all replicates have the same ranges of confidence. Biased upward for few
    slides (about 100): rank methods on Brier or log loss instead.
    """
    confidence = probs.max(1)
    gap = (probs.argmax(1) == truth) - confidence  # accuracy minus confidence, slide by slide
    index = equal_mass_bins(confidence, bins)
    gaps = weighted_sums(np.eye(bins)[index].T * gap, weights)  # (bins, B)
    # n_b cancels: sums of gaps instead of means per bin.
    return ratio(np.abs(gaps).sum(0), weights.sum(0, dtype=np.float64))


def equal_mass_bins(confidence: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """Return the bin of each slide ``(n,)``: equally many by rank of confidence.

    Tied slides share a bin, so the result does not depend on the order of slides.
    """
    ranks: NDArray[np.float64] = rankdata(confidence)  # ties share their mean rank
    return ((ranks - 0.5) * bins / len(confidence)).astype(np.int64)  # ranks 1..n to 0..bins-1
