"""Tables for papers (packages booktabs and, to fit the page, graphicx)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mil_bench.boards.formats.grid import CHECKS, Grid, Shown, caption
from mil_bench.boards.report import Report

_SPECIAL = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{\ttfamily\char34}",  # a shorthand of babel, and no straight quote in OT1 fonts
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "Δ": r"$\Delta$",
    "✓": r"$\checkmark$",
}
_LIGATURE = {"-": "-{}", "'": "'{}", ",": ",{}"}
"""Signs that LaTeX would join with an equal sign after them into another one."""
_CODE = re.compile("`([^`]+)`")
_PATTERN = re.compile(f"[{re.escape(''.join(_SPECIAL))}]|-(?=-)|'(?=')|,(?=,)")
_MARKS = {"": "{}", "best": r"\textbf{{{}}}", "tied": r"\underline{{{}}}"}
_PACKAGES = "% packages: booktabs, graphicx; names beyond Latin letters require LuaLaTeX or XeLaTeX"
_LONGEST = 12
_WIDE = r"\resizebox{\ifdim\width>\textwidth\textwidth\else\width\fi}{!}{%"
_HIGH = r"\resizebox*{!}{\ifdim\totalheight>0.8\textheight0.8\textheight\else\totalheight\fi}{%"
_MOST = 40
"""Rows per page; more rows are divided evenly onto several pages."""


def grids_latex(report: Report, grids: Sequence[Grid]) -> str:
    """Return a ``table*`` per grid, several for a long one; intervals are below their numbers."""
    tables = [_table(report, part) for grid in grids for part in _parts(grid)]
    checks = any(
        cell.text in CHECKS.values() for grid in grids for row in grid.rows for cell in row
    )
    packages = _PACKAGES.replace("graphicx", "graphicx, amssymb") if checks else _PACKAGES
    return f"{packages}\n" + "\n".join(tables)


def escape(text: str) -> str:
    """Return ``text`` so that LaTeX prints exactly these characters, on one line."""
    signs = _SPECIAL | _LIGATURE
    return _PATTERN.sub(lambda match: signs[match.group()], re.sub(r"\s+", " ", text))


def _parts(grid: Grid) -> list[Grid]:
    many = -(-len(grid.rows) // _MOST)  # -(-a // b): rounded up
    if many < 2:
        return [grid]
    size = -(-len(grid.rows) // many)  # even parts instead of a short last one
    return [
        replace(
            grid,
            title=f"{grid.title}, part {i + 1} of {many}",
            rows=grid.rows[i * size : (i + 1) * size],
            # Rules are numbered within a part.
            rules=frozenset(row - i * size for row in grid.rules),
        )
        for i in range(many)
    ]


def _table(report: Report, grid: Grid) -> str:
    numbers = len(grid.heads) - grid.names
    lines = [
        r"\begin{table*}",
        r"\centering\small\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{_caption(report, grid)}}}",
        r"\smallskip",
        _WIDE,
        _HIGH,
        rf"\begin{{tabular}}{{@{{}}{'l' * grid.names}{'c' * numbers}@{{}}}}",
        r"\toprule",
        _row([_head(text) for text in grid.heads]),
        r"\midrule",
        *(line for i, row in enumerate(grid.rows) for line in _lines(row, i in grid.rules)),
        r"\bottomrule",
        r"\end{tabular}}}",
        r"\end{table*}",
    ]
    return "\n".join(lines) + "\n"


def _head(text: str) -> str:
    """A head; long ones are on two lines."""
    words = text.split()
    if len(text) <= _LONGEST or len(words) == 1:
        return escape(text)
    # Lengths of the first line for each place of the break.
    ends = [len(" ".join(words[:i])) for i in range(1, len(words))]
    # The break nearest to the middle.
    cut = 1 + min(range(len(ends)), key=lambda i: abs(ends[i] - len(text) / 2))
    above, below = (escape(" ".join(part)) for part in (words[:cut], words[cut:]))
    return rf"\shortstack{{{above}\\{below}}}"


def _lines(row: Sequence[Shown], rule: bool) -> list[str]:
    above = [r"\midrule"] if rule else []
    values = _row([_MARKS[cell.mark].format(escape(cell.text)) for cell in row])
    if not any(cell.interval for cell in row):
        return [*above, values]
    below = [rf"{{\scriptsize {escape(c.interval)}}}" if c.interval else "" for c in row]
    return [*above, values, _row(below), r"\addlinespace[2pt]"]


def _caption(report: Report, grid: Grid) -> str:
    board = report.board
    study = f"{board.study.title}. " if board.study else ""
    words = (
        f"{study}{grid.title} on {board.id.title}: {board.slides} test slides of "
        f"{board.groups} patients; "
        f"{caption([grid])}. {grid.note}"
    )
    # Odd parts of the split are the code.
    parts = _CODE.split(f"{words.strip().rstrip('.')}.")
    return "".join(
        rf"\texttt{{{escape(part)}}}" if i % 2 else escape(part) for i, part in enumerate(parts)
    )


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
