"""The numbers that pictures show: those of the tables, of every row that has results."""

from __future__ import annotations

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.metrics_table import facts
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.report import Report
from mil_bench.leaderboard.tables.measure import measured
from mil_bench.leaderboard.tables.table import Number


def rows_of(report: Report) -> list[BoardRow]:
    """Rows that can be drawn, in order of the board; tables name the others."""
    return [row for row in report.board.rows if row.done]


def numbers(report: Report, score: Score) -> dict[str, Number]:
    """Label -> score as a fraction, of the rows for which it is defined."""
    found = measured(report.analysis, score)
    return {
        label: cell
        for label, cell in found.items()
        if isinstance(cell, Number) and cell.value == cell.value
    }


def scale_of(metric: str) -> float:
    """By what screens and pictures multiply: 100 for fractions."""
    return 100.0 if facts(metric).percent else 1.0
