"""A board as a Markdown page, readable where repositories are browsed."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mil_bench.leaderboard.board import Board
from mil_bench.leaderboard.screen import Sheet, caption, problems, sheets

# Characters that would end a cell, start HTML, a link, code or emphasis.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!])")
FIGURE = "overview.png"


def board_page(board: Board, figure: bool) -> str:
    """The ``README.md`` of a board's folder; ``figure`` says that a picture lies beside it."""
    parts = [f"# {escape(board.title)}"]
    if board.leaky:
        parts.append("**This split leaks: its numbers must not be compared with clean ones.**")
    if figure and board.scores:
        parts.append(f"![Methods, levels and classes]({FIGURE})")
    if board.scores:
        for sheet in sheets(board):
            parts += [
                f"## {escape(sheet.title[:1].upper() + sheet.title[1:])}",
                sheet_markdown(sheet),
            ]
        parts.append(escape(caption(board)))
    bullets = [*board.notes, *problems(board)]
    if bullets:
        parts += ["## Read with care", "\n".join(f"- {escape(note)}" for note in bullets)]
    parts.append(
        "Every number with its spread, seed, fold and run key is in the CSV files beside this page."
    )
    return "\n\n".join(parts) + "\n"


def sheet_markdown(sheet: Sheet) -> str:
    """One table, numbers to the right."""
    rule = ["---", *["--:"] * (len(sheet.columns) - 1)]
    return "\n".join(map(_line, [[escape(c) for c in sheet.columns], rule, *_cells(sheet)]))


def escape(text: str) -> str:
    """Text that Markdown shows as it is, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _cells(sheet: Sheet) -> list[list[str]]:
    return [[escape(cell) for cell in row] for row in sheet.rows]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
