"""Everything that is said of one board: files, pages, pictures and screens show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mil_bench.base.finding import Note
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import Board
from mil_bench.boards.controls import controls_table
from mil_bench.boards.notes import caveats_of
from mil_bench.boards.tables.ablation import ablation_table, ablation_verdict, sensitivity_table
from mil_bench.boards.tables.calibration import calibration_table, reliability_table
from mil_bench.boards.tables.cost import cost_table
from mil_bench.boards.tables.localisation import localisation_table
from mil_bench.boards.tables.pairs import pairs_table
from mil_bench.boards.tables.published import published_table
from mil_bench.boards.tables.scores import classwise_table, hierarchical_table, overall_table
from mil_bench.boards.tables.table import Table
from mil_bench.boards.tables.thresholds import thresholds_table
from mil_bench.boards.tables.transfer import transfer_table, transfer_verdict
from mil_bench.boards.verdict import verdict_of

TABLES: dict[str, Callable[[Analysis], Table | None]] = {
    "ablation": ablation_table,
    "sensitivity": sensitivity_table,
    "overall": overall_table,
    "transfer": transfer_table,
    "hierarchical": hierarchical_table,
    "controls": controls_table,
    "classwise": classwise_table,
    "localisation": localisation_table,
    "pairs": pairs_table,
    "calibration": calibration_table,
    "reliability": reliability_table,
    "thresholds": thresholds_table,
    "cost": cost_table,
    "published": published_table,
}
"""What a report has, in this order. Each makes the table of that name, or ``None``."""

OF_METHODS = ("controls", "pairs", "published")
"""Comparisons of methods with each other; an ablation compares with its reference instead."""


OF_SITES = ("overall", "hierarchical", "classwise", "pairs")
"""The tables that need no predictions."""


@dataclass(frozen=True)
class Report:
    """A board, its analysis, its tables in order, and computed sentences.

    ``verdict`` says what differs significantly; ``caveats`` state what to distrust; ``problems``
    name the rows with missing runs.
    """

    board: Board
    analysis: Analysis
    tables: tuple[Table, ...]
    verdict: str
    caveats: tuple[Note, ...]
    problems: tuple[str, ...]

    def table(self, name: str) -> Table | None:
        """Return a table by name; ``None`` where the board has none (no tree, no searches)."""
        return next((t for t in self.tables if t.name == name), None)


def report_of(board: Board) -> Report:
    """Analyse and tabulate a board; the same runs give the same report."""
    analysis = Analysis.of(board)
    makers = [make for name, make in TABLES.items() if _has(board, name)]
    # None: the board has nothing for it.
    tables = tuple(table for make in makers if (table := make(analysis)) is not None)
    problems = tuple(f"{row.label}: {row.status}" for row in board.rows if not row.complete)
    verdict = ablation_verdict(analysis) if board.study else verdict_of(analysis)
    if board.id.trained_on:
        verdict = " ".join(filter(None, [transfer_verdict(analysis), verdict]))
    return Report(board, analysis, tables, verdict, caveats_of(analysis), problems)


def _has(board: Board, table: str) -> bool:
    """Whether a table is made for this kind of board."""
    if board.site is not None:
        return table in OF_SITES
    return not (board.study and table in OF_METHODS)
