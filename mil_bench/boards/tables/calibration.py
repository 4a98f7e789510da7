"""Whether probabilities can be trusted: proper scores, ECE, overconfidence, and bins."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import source_columns, sources
from mil_bench.boards.tables.table import Cell, Number, Row, Table, score_column
from mil_bench.evaluation.calibration import BINS, equal_mass_bins
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.formulas import effective_size, wilson
from mil_bench.evaluation.inference.resampling import Resampling
from mil_bench.evaluation.metrics import CALIBRATION, Score
from mil_bench.evaluation.predictions import Source
from mil_bench.evaluation.sums import ratio, weighted_sums

_KEYS = ("method", "level", "source")
_TRUST = (
    *columns("confidence"),
    score_column(Score("accuracy"), level=""),
    *columns("overconfidence"),
)
_SHOWN = (*CALIBRATION, *(column.name for column in _TRUST))
_BIN = ("bin", "slides", "confidence_from", "confidence_to")
_NOTE = (
    "Confidence is the probability of the decided class. ECE is biased upward for few slides: rank "
    "on Brier or log loss. Overconfidence pools all runs of a row"
)
_BIN_NOTE = "15 bins of equally many slides, pooled over the runs of a row; 95 % CI over patients"


def calibration_table(analysis: Analysis) -> Table | None:
    """Return a row per method, level and source; ``None`` without intervals."""
    draws, origins = analysis.resampling, sources(analysis.board)
    if draws is None:
        return None
    rows = []
    for row, level, source in places(analysis):
        (whole,) = reliability_bins(row, level, source, draws, bins=1)  # one bin of all slides
        drawn = analysis.scores[row.label]
        scores: dict[str, Cell] = {
            name: Number.of(s)
            for name in CALIBRATION
            if (s := drawn.get(Score(name, level, source))) is not None
        }
        rows.append(
            Row(
                row.label,
                {"method": row.label, "level": level, "source": source}
                | scores
                | origins[row.label]
                | {
                    "confidence": Number(whole.confidence),
                    "accuracy": Number(whole.accuracy.value, *whole.interval),
                    "overconfidence": Number.of(whole.gap),
                },
            )
        )
    scored = (*(score_column(Score(name), level="") for name in CALIBRATION), *_TRUST)
    every = (*columns(*_KEYS), *scored, *source_columns(analysis.board))
    return Table("calibration", "Calibration", every, tuple(rows), _KEYS, _SHOWN, _NOTE)


def reliability_table(analysis: Analysis) -> Table | None:
    """Return a row per method, level, source and bin, for files; ``None`` without intervals."""
    draws, origins = analysis.resampling, sources(analysis.board)
    if draws is None:
        return None
    rows = [
        Row(
            row.label,
            origins[row.label]
            | {
                "method": row.label,
                "level": level,
                "source": source,
                "bin": Number(k),
                "slides": Number(b.slides),
                "confidence_from": Number(b.low),
                "confidence_to": Number(b.high),
                "confidence": Number(b.confidence),
                "accuracy": Number(b.accuracy.value, *b.interval),
                "overconfidence": Number.of(b.gap),
            },
        )
        for row, level, source in places(analysis)
        for k, b in enumerate(reliability_bins(row, level, source, draws), start=1)
    ]
    named = columns(*_KEYS, *_BIN, table="reliability")
    every = (*named, *_TRUST, *source_columns(analysis.board))
    keys = (*_KEYS, "bin")
    return Table("reliability", "Reliability", every, tuple(rows), keys, (), _BIN_NOTE)


def places(analysis: Analysis) -> Iterator[tuple[BoardRow, str, Source]]:
    """List rows with probabilities, at every level, from every source."""
    tree = analysis.board.taxonomy
    assert tree is not None
    for row in analysis.board.rows:
        if row.label in analysis.scores and row.ranked:
            first = next(iter(row.predictions.values()))
            for level in tree.levels:
                for source in first.sources(level):
                    yield row, level, source


def reliability_bins(
    row: BoardRow, level: str, source: Source, resampling: Resampling, bins: int = BINS
) -> list[Bin]:
    """Sort slides into bins of equally many, from the least confident; empty ones are left out.

    ``bins=1`` holds all slides: its gap is the overconfidence of the row.
    """
    cells = list(row.predictions.values())
    probs = [p.probabilities(level, source) for p in cells]
    confidence = [q.max(1) for q in probs]
    right = [q.argmax(1) == p.truth(level) for p, q in zip(cells, probs, strict=True)]
    # Equal mass over all runs: bins are comparable between them.
    index = equal_mass_bins(np.concatenate(confidence), bins)
    starts = np.cumsum([0, *map(len, cells)])
    # (bins, slides) indicators
    places = [np.eye(bins)[index[i:j]].T for i, j in itertools.pairwise(starts)]
    # (3, bins, 1 + B): slides, confidence, hits
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
        for k in np.unique(index)  # only bins with slides
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
        if self.accuracy.value in (0, 1):  # no draw differs: the bootstrap has no width
            return wilson(self.accuracy.value, self.size)
        return self.accuracy.low, self.accuracy.high
