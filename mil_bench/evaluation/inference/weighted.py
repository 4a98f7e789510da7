"""Sums over weighted slides, for all replicates at once.

Weights are ``(n, B)``: how much slide ``i`` counts in replicate ``b``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from mil_bench.evaluation.calibration import BINS, equal_mass_bins
from mil_bench.evaluation.inference.resampling import Weights
from mil_bench.evaluation.sums import SlideRatio, ratio

_CHUNK = 1024


def sums_by(index: NDArray[np.int64], rows: int, weights: Weights) -> Weights:
    """``(rows, B)``: the weights ``(n, B)`` added up by ``index`` ``(n,)``; others are dropped.

    One pass over the weights, whatever the number of rows.
    """
    inside = np.flatnonzero(index < rows)
    cells = (np.ones(len(inside), dtype=np.float32), (index[inside], inside))
    adder = csr_array(cells, shape=(rows, len(index)))
    return np.asarray(adder @ weights, dtype=np.float32)


def confusion_matrices(
    truth: NDArray[np.int64], decision: NDArray[np.int64], classes: int, weights: Weights
) -> NDArray[np.float64]:
    """``(B, K, K)`` sums of weights: row = true class, column = decided class."""
    cells = sums_by(truth * classes + decision, classes * classes, weights)
    return cells.T.reshape(-1, classes, classes).astype(np.float64)


def weighted_sums(terms: NDArray[Any], weights: Weights) -> NDArray[np.float64]:
    """``(rows, B)``: sums over slides of ``terms`` ``(rows, n)`` times weights, in float64."""
    total = np.zeros((len(terms), weights.shape[1]))
    for start in range(0, terms.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        total += terms[:, part].astype(np.float64) @ weights[part].astype(np.float64)
    return total


def weighted_ratios(
    ratios: Mapping[str, SlideRatio], weights: Weights
) -> dict[str, NDArray[np.float64]]:
    """Every score ``(B,)`` by name."""
    tops = np.stack([r.numerator for r in ratios.values()])
    below = np.stack([r.denominator for r in ratios.values()])
    sums = weighted_sums(np.concatenate([tops, below]), weights)
    quotients = ratio(sums[: len(ratios)], sums[len(ratios) :])
    return dict(zip(ratios, quotients, strict=True))


def calibration_errors(
    truth: NDArray[np.int64], probs: NDArray[np.float64], weights: Weights, bins: int = BINS
) -> NDArray[np.float64]:
    """``(B,)`` expected calibration errors.

    Bins are those of the unweighted sample in every replicate, so that a replicate asks about the
    same ranges of confidence.
    """
    confidence = probs.max(1)
    gap = (probs.argmax(1) == truth) - confidence
    index = equal_mass_bins(confidence, bins)
    gaps = weighted_sums(np.eye(bins)[index].T * gap, weights)
    return ratio(np.abs(gaps).sum(0), weights.sum(0, dtype=np.float64))
