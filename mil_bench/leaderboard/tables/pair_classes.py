"""Two methods, class by class."""

from __future__ import annotations

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.metrics_table import facts
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.pairs import Pair, compare_pairs
from mil_bench.leaderboard.tables.column import Column
from mil_bench.leaderboard.tables.pairs import COLUMNS as PAIR_COLUMNS
from mil_bench.leaderboard.tables.pairs import difference_cells
from mil_bench.leaderboard.tables.table import Cell, Number, Row, Table

METRICS = ("auc", "sensitivity")
_KEYS = ("level", "source", "class", "score")
COLUMNS = (
    Column("level", "Level"),
    Column("source", "Source"),
    Column("class", "Class"),
    Column("score", "Score"),
    Column("first", "First", "row", interval="patients"),
    Column("second", "Second", "row", interval="patients"),
    *PAIR_COLUMNS[3:],
)
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
    return Table("classes", "Classes", COLUMNS, tuple(rows), _KEYS, _SHOWN, note)


def _row(analysis: Analysis, pair: Pair) -> Row:
    metric, level, source, name = pair.score
    cells: dict[str, Cell] = {
        "level": level,
        "source": source,
        "class": name,
        "score": facts(metric).name,
        "first": Number.of(analysis.scores[pair.a][pair.score]),
        "second": Number.of(analysis.scores[pair.b][pair.score]),
    }
    return Row(pair.a, cells | difference_cells(pair), metric)
