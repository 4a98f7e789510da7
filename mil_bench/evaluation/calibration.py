"""Scores of probabilities: Brier, log loss, calibration error."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mil_bench.evaluation.sums import ratio

BINS = 15


def squared_error(truth: NDArray[np.int64], probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n,)``: ``sum_k (p_k - 1[y = k])^2`` of each slide, 0 to 2; the mean is the Brier score."""
    target = np.eye(probs.shape[1])[truth]
    return np.asarray(((probs - target) ** 2).sum(1))


def surprise(truth: NDArray[np.int64], probs: NDArray[np.float64]) -> NDArray[np.float64]:
    """``(n,)``: ``-log p[y]`` in nats, whose mean is the log loss.

    Probabilities below float64's epsilon count as epsilon.
    """
    chosen = probs[np.arange(len(truth)), truth]
    return np.asarray(-np.log(np.clip(chosen, np.finfo(np.float64).eps, 1)))


def equal_mass_bins(confidence: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """``(n,)`` bin of each slide: equally many by rank of confidence.

    Tied slides share a bin, so the result does not depend on the order of slides.
    """
    ranks: NDArray[np.float64] = rankdata(confidence)
    return ((ranks - 0.5) * bins / len(confidence)).astype(np.int64)


def reliability(
    right: NDArray[np.bool_], confidence: NDArray[np.float64], bins: int = BINS
) -> NDArray[np.float64]:
    """``(bins, 3)`` rows of slides, mean confidence and accuracy; ``nan`` in an empty bin."""
    index = equal_mass_bins(confidence, bins)
    count = np.bincount(index, minlength=bins)
    mean_confidence = ratio(np.bincount(index, confidence, minlength=bins), count)
    accuracy = ratio(np.bincount(index, right, minlength=bins), count)
    return np.column_stack([count, mean_confidence, accuracy])


def expected_calibration_error(
    truth: NDArray[np.int64], probs: NDArray[np.float64], bins: int = BINS
) -> float:
    """``sum_b n_b / n |accuracy_b - confidence_b|`` of the decided class (Naeini 2015, Guo 2017).

    Biased upward for few slides (about 100): rank methods on Brier or log loss instead.
    """
    right = probs.argmax(1) == truth
    count, confidence, accuracy = reliability(right, probs.max(1), bins).T
    filled = count > 0
    gaps = np.abs(accuracy - confidence)[filled]
    return float((count[filled] * gaps).sum() / len(truth))
