"""Whether probabilities can be believed: proper scores, ECE and overconfidence, and by bins."""

from __future__ import annotations

from collections.abc import Iterator

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.overall import Source
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.reliability import reliability_bins, resampling_of
from mil_bench.leaderboard.tables.column import Column, score_column
from mil_bench.leaderboard.tables.table import Cell, Number, Row, Table
from mil_bench.taxonomy import LEAF

SCORES = ("brier", "log_loss", "ece")
_OVER = Column(
    "overconfidence",
    "Overconfidence",
    "fraction",
    interval="patients",
    note="mean confidence minus accuracy; 0 is right on average, above 0 too sure",
)
_ACCURACY = Column("accuracy", "Acc", "fraction", interval="patients")
_CONFIDENCE = Column("confidence", "Confidence", "fraction", note="mean of the decided class")
_PLACE = (
    Column("method", "Method"),
    Column("level", "Level"),
    Column("source", "Source", note="summed leaves or a head of its own (direct)"),
)
COLUMNS = (
    *_PLACE,
    *(score_column(name, "") for name in SCORES),
    _CONFIDENCE,
    _ACCURACY,
    _OVER,
)
BIN_COLUMNS = (
    *_PLACE,
    Column("bin", "Bin", "count", note="from the least confident"),
    Column("slides", "Slides", "count", note="once per seed"),
    Column("confidence_from", "From", "fraction"),
    Column("confidence_to", "To", "fraction"),
    _CONFIDENCE,
    _ACCURACY,
    _OVER,
)
_KEYS = ("method", "level", "source")
_NOTE = (
    "Confidence is the probability of the decided class. ECE is biased upward for few slides: rank "
    "on Brier or log loss. Overconfidence pools all runs of a row"
)
_BIN_NOTE = "15 bins of equally many slides, pooled over the runs of a row; intervals over patients"


def calibration_table(analysis: Analysis) -> Table | None:
    """A row per method, level and source; ``None`` without intervals."""
    if analysis.refusal:
        return None
    draws = resampling_of(analysis)
    rows = []
    for row, level, source in places(analysis):
        (whole,) = reliability_bins(row, level, source, draws, bins=1)
        drawn = analysis.scores[row.label]
        scores: dict[str, Cell] = {
            name: Number.of(s)
            for name in SCORES
            if (s := drawn.get(_score(level, source, name))) is not None
        }
        rows.append(
            Row(
                row.label,
                {"method": row.label, "level": level, "source": source}
                | scores
                | {
                    "confidence": Number(whole.confidence),
                    "accuracy": Number(whole.accuracy.value, *whole.interval),
                    "overconfidence": Number.of(whole.gap),
                },
            )
        )
    names = tuple(column.name for column in COLUMNS)
    return Table("calibration", "Calibration", COLUMNS, tuple(rows), _KEYS, names, _NOTE)


def reliability_table(analysis: Analysis) -> Table | None:
    """A row per method, level, source and bin, for files; ``None`` without intervals."""
    if analysis.refusal:
        return None
    draws = resampling_of(analysis)
    rows = [
        Row(
            row.label,
            {
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
    keys = (*_KEYS, "bin")
    return Table("reliability", "Reliability", BIN_COLUMNS, tuple(rows), keys, (), _BIN_NOTE)


def places(analysis: Analysis) -> Iterator[tuple[BoardRow, str, Source]]:
    """Rows with results, at every level, from every source."""
    tree = analysis.board.taxonomy
    assert tree is not None
    for row in analysis.board.rows:
        if row.label in analysis.scores:
            heads = next(iter(row.predictions.values())).heads
            for level in tree.levels:
                sources: tuple[Source, ...] = ("direct",) if level in heads else ()
                for source in sources if level == LEAF else ("summed", *sources):
                    yield row, level, source


def _score(level: str, source: Source, name: str) -> Score:
    return Score(name if level == LEAF else f"{level}_{source}_{name}")
