"""Whether probabilities can be believed: proper scores, ECE and overconfidence, and by bins."""

from __future__ import annotations

from collections.abc import Iterator

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.overall import Source
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.reliability import reliability_bins, resampling_of
from mil_bench.leaderboard.tables.column import score_column
from mil_bench.leaderboard.tables.columns import columns
from mil_bench.leaderboard.tables.identity import source_columns, sources
from mil_bench.leaderboard.tables.table import Cell, Number, Row, Table
from mil_bench.taxonomy import LEAF

SCORES = ("brier", "log_loss", "ece")
_KEYS = ("method", "level", "source")
_TRUST = (*columns("confidence"), score_column("accuracy", ""), *columns("overconfidence"))
_SHOWN = (*SCORES, *(column.name for column in _TRUST))
_BIN = ("bin", "slides", "confidence_from", "confidence_to")
_NOTE = (
    "Confidence is the probability of the decided class. ECE is biased upward for few slides: rank "
    "on Brier or log loss. Overconfidence pools all runs of a row"
)
_BIN_NOTE = "15 bins of equally many slides, pooled over the runs of a row; intervals over patients"


def calibration_table(analysis: Analysis) -> Table | None:
    """A row per method, level and source; ``None`` without intervals."""
    if analysis.refusal:
        return None
    draws, known = resampling_of(analysis), sources(analysis.board)
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
                | known[row.label]
                | {
                    "confidence": Number(whole.confidence),
                    "accuracy": Number(whole.accuracy.value, *whole.interval),
                    "overconfidence": Number.of(whole.gap),
                },
            )
        )
    scored = (*(score_column(name, "") for name in SCORES), *_TRUST)
    every = (*columns(*_KEYS), *scored, *source_columns(analysis.board))
    return Table("calibration", "Calibration", every, tuple(rows), _KEYS, _SHOWN, _NOTE)


def reliability_table(analysis: Analysis) -> Table | None:
    """A row per method, level, source and bin, for files; ``None`` without intervals."""
    if analysis.refusal:
        return None
    draws, known = resampling_of(analysis), sources(analysis.board)
    rows = [
        Row(
            row.label,
            known[row.label]
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
