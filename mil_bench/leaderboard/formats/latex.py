"""Tables as papers print them (package booktabs; graphicx to fit the page)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mil_bench.leaderboard.formats.grid import Grid, Shown, caption
from mil_bench.leaderboard.report import Report

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "Δ": r"$\Delta$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "–": "--",
    **{c: f"\\{c}" for c in "&%$#_{}"},
}
_PATTERN = re.compile("|".join(map(re.escape, _SPECIAL)))
_MARKS = {"": "{}", "best": r"\textbf{{{}}}", "tied": r"\underline{{{}}}"}
_PACKAGES = "% packages: booktabs, graphicx; names beyond Latin letters want LuaLaTeX or XeLaTeX"
_LONGEST = 12
_FIT = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"


def grids_latex(report: Report, grids: Sequence[Grid]) -> str:
    """A ``table*`` for every grid; intervals stand below their numbers."""
    tables = [_table(report, grid) for grid in grids]
    return f"{_PACKAGES}\n" + "\n".join(tables)


def escape(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return _PATTERN.sub(lambda found: _SPECIAL[found.group()], text)


def _table(report: Report, grid: Grid) -> str:
    numbers = len(grid.heads) - grid.names
    lines = [
        r"\begin{table*}",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_caption(report, grid)}}}",
        r"\smallskip",
        _FIT,
        rf"\begin{{tabular}}{{@{{}}{'l' * grid.names}{'c' * numbers}@{{}}}}",
        r"\toprule",
        _row([_head(text) for text in grid.heads]),
        r"\midrule",
        *(line for row in grid.rows for line in _lines(row)),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _head(text: str) -> str:
    """Long heads stand on two lines."""
    words = text.split()
    if len(text) <= _LONGEST or len(words) == 1:
        return escape(text)
    ends = [len(" ".join(words[:i])) for i in range(1, len(words))]
    cut = 1 + min(range(len(ends)), key=lambda i: abs(ends[i] - len(text) / 2))
    above, below = (escape(" ".join(part)) for part in (words[:cut], words[cut:]))
    return rf"\shortstack{{{above}\\{below}}}"


def _lines(row: Sequence[Shown]) -> list[str]:
    values = _row([_MARKS[cell.mark].format(escape(cell.text)) for cell in row])
    if not any(cell.interval for cell in row):
        return [values]
    below = [rf"{{\scriptsize {escape(c.interval)}}}" if c.interval else "" for c in row]
    return [values, _row(below), r"\addlinespace[2pt]"]


def _caption(report: Report, grid: Grid) -> str:
    board = report.board
    told = (
        f"{grid.title} on {board.title}: {board.slides} test slides of {board.groups} patients; "
        f"{caption([grid])}. {grid.note}"
    )
    return escape(f"{told.strip().rstrip('.')}.")


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
