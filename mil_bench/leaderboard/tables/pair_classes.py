"""Two methods, class by class."""

from __future__ import annotations

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.pairs import Pair, compare_pairs
from mil_bench.leaderboard.tables.columns import columns
from mil_bench.leaderboard.tables.pairs import DIFFERENCE, difference_cells
from mil_bench.leaderboard.tables.table import Cell, Number, Row, Table

METRICS = ("auc", "sensitivity")
_KEYS = ("level", "source", "class", "score")
_SHOWN = (*_KEYS, "first", "second", "difference", "p")
_NOTE = "{} first, {} second; difference: first minus second; p is not corrected for many classes"


def pair_classes_table(analysis: Analysis) -> Table | None:
    """A row per class and score of two comparable rows; ``None`` without two."""
    if len(analysis.paired) < 2:
        return None
    a, b = analysis.paired[:2]
    rows = [
        _row(analysis, pair)
        for metric in METRICS
        for level, source, name in analysis.board.class_keys
        for pair in compare_pairs(analysis, Score(metric, level, source, name), [(a, b)])
    ]
    note = _NOTE.format(a, b)
    every = columns(*_KEYS, "first", "second", *DIFFERENCE, table="classes")
    return Table("classes", "Classes", every, tuple(rows), _KEYS, _SHOWN, note)


def _row(analysis: Analysis, pair: Pair) -> Row:
    metric, level, source, name = pair.score
    cells: dict[str, Cell] = {
        "level": level,
        "source": source,
        "class": name,
        "score": metric,
        "first": Number.of(analysis.scores[pair.a][pair.score]),
        "second": Number.of(analysis.scores[pair.b][pair.score]),
    }
    return Row(pair.a, cells | difference_cells(analysis, pair), metric)
