"""The leaf level: a row per method."""

from __future__ import annotations

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.metrics_table import PRIMARY, in_order
from mil_bench.leaderboard.analysis import RANKED, Analysis
from mil_bench.leaderboard.tables.column import score_column
from mil_bench.leaderboard.tables.columns import columns
from mil_bench.leaderboard.tables.identity import KEYS, STANDING, method_rows, origin_columns
from mil_bench.leaderboard.tables.measure import measured
from mil_bench.leaderboard.tables.table import Table

SHOWN = (
    "tier",
    "rank",
    PRIMARY,
    "macro_auc",
    "qwk",
    "macro_f1",
    "worst_sensitivity",
    "detectable",
    "coverage",
)


def overall_table(analysis: Analysis) -> Table | None:
    """Scores of the leaf level, in order of the board; ``None`` without any result."""
    board = analysis.board
    names = in_order(name for scores in board.scores for name in scores.overall)
    if not names:
        return None
    rows = method_rows(analysis, {name: measured(analysis, Score(name)) for name in names})
    every = (*columns(*KEYS), *STANDING, *map(score_column, names), *origin_columns(board))
    shown = tuple(name for name in SHOWN if name in {c.name for c in every})
    return Table("overall", "Overall", every, rows, KEYS, shown, _note(analysis))


def _note(analysis: Analysis) -> str:
    least = analysis.detectable(RANKED)
    if least != least:
        return ""
    return (
        f"differences of balanced accuracy below about {100 * least:.1f} points are not found with "
        "this many patients"
    )
