"""Everything that is said about one board. Files, pages, pictures and screens are made from it."""

from __future__ import annotations

from dataclasses import dataclass

from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import Board
from mil_bench.leaderboard.tables.table import Table


@dataclass(frozen=True)
class Report:
    """A board, its analysis, its tables in order, and computed sentences.

    ``verdict`` says what can be told apart; ``caveats`` say what to distrust.
    """

    board: Board
    analysis: Analysis
    tables: tuple[Table, ...]
    verdict: str
    caveats: tuple[str, ...]
    problems: tuple[str, ...]

    def table(self, name: str) -> Table | None:
        """A table by name; ``None`` where the board has none (no tree, no searches)."""
        return next((t for t in self.tables if t.name == name), None)
