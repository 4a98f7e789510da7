"""How often a method is right when it says that it is: confidence against accuracy, in bins."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mil_bench.evaluation.calibration import BINS, equal_mass_bins
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.proportions import effective_size, wilson
from mil_bench.evaluation.inference.resampling import Resampling
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
    confidence = np.concatenate([q.max(1) for q in probs])
    right = np.concatenate(
        [q.argmax(1) == p.truth(level) for p, q in zip(cells, probs, strict=True)]
    )
    weights = np.concatenate([resampling.of_slides(p) for p in cells]).astype(np.float64)
    groups = np.concatenate([p.groups for p in cells])
    index = equal_mass_bins(confidence, bins)
    found = []
    for k in np.unique(index):
        here = index == k
        total = weights[here].sum(0)
        hits = ratio(right[here] @ weights[here], total)
        says = ratio(confidence[here] @ weights[here], total)
        found.append(
            Bin(
                int(here.sum()),
                float(confidence[here].min()),
                float(confidence[here].max()),
                float(says[0]),
                Replicated(float(hits[0]), hits[1:], resampling.freedom),
                Replicated(float((says - hits)[0]), (says - hits)[1:], resampling.freedom),
                effective_size(groups[here]),
            )
        )
    return found
