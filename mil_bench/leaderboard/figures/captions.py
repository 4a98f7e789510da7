"""Words on pictures: titles, axes, and what the numbers rest on."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.evaluation.metrics_table import facts
from mil_bench.leaderboard.board import Board, BoardRow
from mil_bench.leaderboard.figures.words import LONGEST, names
from mil_bench.leaderboard.report import Report
from mil_bench.leaderboard.tables.table import Number


def heading(report: Report, what: str) -> str:
    """Title of a figure: what it shows, of which board, and whether the split leaks."""
    leak = " - LEAKY SPLIT" if report.board.leaky else ""
    return f"{what}: {report.board.title}{leak}"


def bars_note(report: Report, mark: str = "Bars") -> str:
    """What bars (or whatever ``mark`` names) show, or why there are none."""
    if report.analysis.refusal:
        return f"No intervals: {report.analysis.refusal}"
    return f"{mark}: 95 % intervals over patients of these trained models."


def row_names(rows: Sequence[BoardRow], longest: int = LONGEST) -> dict[str, str]:
    """Label -> name to draw; a row that lacks runs says so."""
    shown = names([row.label for row in rows], longest)
    return {
        row.label: shown[row.label] + ("" if row.complete else f" ({row.coverage} runs)")
        for row in rows
    }


def axis_words(metric: str) -> str:
    """``Bal. acc (%) ↑``: title, unit and direction of a score."""
    f = facts(metric)
    unit = {"fraction": " (%)", "levels": " (levels)", "nats": " (nats)", "grades": " (grades)"}
    return f.title + unit.get(f.unit, "") + {1: " ↑", -1: " ↓", 0: ""}[f.better]


def number_words(number: Number, scale: float) -> str:
    """``64.2 [58.9, 69.4]``."""
    digits = 1 if scale == 100 else 2
    told, low, high = (
        f"{scale * value:z.{digits}f}" for value in (number.value, number.low, number.high)
    )
    return told if number.low != number.low else f"{told} [{low}, {high}]"


def sample(board: Board) -> str:
    """``350 test slides of 121 patients or groups; 5 folds x 3 seeds.``."""
    cells = {cell for row in board.rows for cell in row.done}
    seeds, folds = ({cell[i] for cell in cells} for i in (0, 1))
    return (
        f"{board.slides} test slides of {board.groups} patients or groups; "
        f"{_count(len(folds), 'fold')} x {_count(len(seeds), 'seed')}."
    )


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'s' if number != 1 else ''}"
