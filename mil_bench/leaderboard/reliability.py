"""How often a method is right when it says that it is: confidence against accuracy, in bins."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.calibration import BINS, equal_mass_bins
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.proportions import effective_size, wilson
from mil_bench.evaluation.inference.resampling import Resampling
from mil_bench.evaluation.inference.weighted import weighted_sums
from mil_bench.evaluation.overall import Source, level_probabilities
from mil_bench.evaluation.undefined import ratio
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import BoardRow


@dataclass(frozen=True)
class Bin:
    """Slides of like confidence, over all runs of a row; a slide counts once per seed.

    ``low`` and ``high`` are the ends of its confidences. ``accuracy`` has an interval over
    patients, as has ``gap``, mean confidence minus accuracy. ``size`` is how many independent
    slides it is worth at least.
    """

    slides: int
    low: float
    high: float
    confidence: float
    accuracy: Replicated
    gap: Replicated
    size: float

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the accuracy; Wilson's where all or none are right."""
        if self.accuracy.value in (0, 1):
            return wilson(self.accuracy.value, self.size)
        return self.accuracy.low, self.accuracy.high


def resampling_of(analysis: Analysis) -> Resampling:
    """The draws of patients behind the scores of an analysis."""
    cells = [p for row in analysis.board.rows for p in row.predictions.values()]
    number = next(len(s.draws) for found in analysis.scores.values() for s in found.values())
    return Resampling.of(cells, number)


def reliability_bins(
    row: BoardRow, level: str, source: Source, resampling: Resampling, bins: int = BINS
) -> list[Bin]:
    """Bins of equally many slides, from the least confident; empty ones are left out.

    ``bins=1`` holds all slides: its gap is the overconfidence of the row.
    """
    cells = list(row.predictions.values())
    probs = [level_probabilities(p, level, source) for p in cells]
    confidence = [q.max(1) for q in probs]
    right = [q.argmax(1) == p.truth(level) for p, q in zip(cells, probs, strict=True)]
    index = equal_mass_bins(np.concatenate(confidence), bins)
    starts = np.cumsum([0, *map(len, cells)])
    places = [np.eye(bins)[index[i:j]].T for i, j in itertools.pairwise(starts)]
    sums = np.zeros((3, bins, resampling.weights.shape[1]))
    for p, place, says, hits in zip(cells, places, confidence, right, strict=True):
        terms = np.concatenate([place, place * says, place * hits])
        sums += weighted_sums(terms, resampling.of_slides(p)).reshape(sums.shape)
    return [
        _bin(
            np.concatenate(confidence)[index == k],
            np.concatenate([p.groups for p in cells])[index == k],
            ratio(sums[1, k], sums[0, k]),
            ratio(sums[2, k], sums[0, k]),
            resampling.freedom,
        )
        for k in np.unique(index)
    ]


def _bin(
    confidence: NDArray[np.float64],
    groups: NDArray[np.str_],
    says: NDArray[np.float64],
    hits: NDArray[np.float64],
    freedom: float,
) -> Bin:
    """From the slides of a bin, and its mean confidence and accuracy ``(1 + B,)`` in every draw."""
    return Bin(
        len(confidence),
        float(confidence.min()),
        float(confidence.max()),
        float(says[0]),
        Replicated(float(hits[0]), hits[1:], freedom),
        Replicated(float(says[0] - hits[0]), says[1:] - hits[1:], freedom),
        effective_size(groups),
    )
