"""A report as a Markdown page, for people who browse the repository."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mil_bench.boards.board import Board
from mil_bench.boards.environment import HEADS, environments_of
from mil_bench.boards.formats.grid import Grid, Shown, caption, grids_of, with_notes
from mil_bench.boards.report import Report
from mil_bench.exchange.bundles.usual_differences import RETRAINED_ELSEWHERE

# Characters that would end a cell, start HTML, a link, code or emphasis.
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!])")
_MARKS = {"": "{}", "best": "**{}**", "tied": "<ins>{}</ins>"}
_LONGEST = 60
"""Tables with more rows are folded."""
_CODE = re.compile(r"(`[\w ./=,:-]+`)")


def report_page(report: Report, figure: bool) -> str:
    """Return the ``README.md`` of a board's folder; ``figure`` embeds its picture."""
    board = report.board
    parts = [f"# {escape(board.title)}"]
    if board.leaky:
        parts.append("**This split leaks: do not compare its numbers with those of clean splits.**")
    if report.verdict:
        parts.append(escape(report.verdict))
    if figure and board.scores:
        parts.append(f"![{_picture_words(board)}]({picture_of(board)})")
    grids = grids_of(report)
    if grids:
        parts.append(f"{escape(_sentence(caption(grids)))}")
    for grid, note in with_notes(grids):
        parts += [f"## {escape(grid.title)}", _folded(grid_markdown(grid), len(grid.rows))]
        if note:
            parts.append(prose(_sentence(note)))
    bullets = [*map(str, report.caveats), *report.problems]
    if bullets:
        parts += ["## Read with care", "\n".join(f"- {prose(note)}" for note in bullets)]
    parts += _environment(board)
    parts.append(
        "The CSV files next to this page have every number with its interval, spread and run keys; "
        "`runs_tidy.csv` has those of single runs. A repository may leave out `pairs.csv`, "
        "`pairs_tidy.csv` and `runs_tidy.csv`, which are large; "
        "`mil-bench leaderboard` writes them again."
    )
    return "\n\n".join(parts) + "\n"


def _environment(board: Board) -> list[str]:
    """Where the runs were made, and what another processor would change."""
    rows = [environment.words for environment in environments_of(board)]
    if not rows:
        return []
    cells = [[escape(word) for word in words] for words in rows]
    table = "\n".join(map(_line, [HEADS, ["--:", *["---"] * (len(HEADS) - 1)], *cells]))
    return ["## Environment", table, RETRAINED_ELSEWHERE]


def picture_of(board: Board) -> str:
    """Return the file name of the picture on the page of a board."""
    if board.study is None:
        return "overview.png"
    return "sensitivity.png" if board.study.settings else "differences.png"


def _picture_words(board: Board) -> str:
    return escape(board.title) if board.study else "Methods, levels and classes"


def grid_markdown(grid: Grid) -> str:
    """Return one table with numbers on the right and intervals below them."""
    rule = [*["---"] * grid.names, *["--:"] * (len(grid.heads) - grid.names)]
    cells = [[_cell(cell) for cell in row] for row in grid.rows]
    return "\n".join(map(_line, [[escape(h) for h in grid.heads], rule, *cells]))


def _folded(table: str, rows: int) -> str:
    """Fold a long table."""
    if rows <= _LONGEST:
        return table
    return f"<details>\n<summary>{rows} rows</summary>\n\n{table}\n\n</details>"


def escape(text: str) -> str:
    """Return ``text`` so that Markdown shows exactly these characters, on one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def prose(text: str) -> str:
    """Return ``text``, escaped except for commands between backticks, which are code."""
    return "".join(
        part if i % 2 else _SPECIAL.sub(r"\\\1", part)
        for i, part in enumerate(_CODE.split(" ".join(text.split())))
    )


def _cell(cell: Shown) -> str:
    text = _MARKS[cell.mark].format(escape(cell.text))
    return f"{text}<br>{escape(cell.interval)}" if cell.interval else text


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
