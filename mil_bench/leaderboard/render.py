"""Boards and scores as rich tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from mil_bench.leaderboard.board import Board
from mil_bench.leaderboard.screen import Sheet, caption, problems, sheets

_WIDEST = 40  # name that is kept on one line


def show(boards: Sequence[Board], console: Console) -> None:
    """Print every board: its tables, how to read them, caveats, and what became of lost cells."""
    for board in boards:
        console.rule(Text(board.title))
        if board.scores:
            for sheet in sheets(board):
                console.print(sheet_table(sheet))
            console.print(Text(caption(board), style="dim"))
        for note in board.notes:
            style = "bold red" if note.startswith("leak") else "yellow"
            console.print(Text(f"note: {note}", style=style))
        for problem in problems(board):
            console.print(Text(problem, style="red"))


def sheet_table(sheet: Sheet) -> Table:
    """One table. Cells are plain text, so a name cannot carry markup."""
    table = Table(title=Text(sheet.title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    first, *numbers = map(Text, sheet.columns)
    longest = max((len(row[0]) for row in sheet.rows), default=0)
    table.add_column(first, overflow="fold", no_wrap=longest <= _WIDEST)
    for column in numbers:
        table.add_column(column, justify="right", overflow="fold")
    for row in sheet.rows:
        table.add_row(*map(Text, row))
    return table
