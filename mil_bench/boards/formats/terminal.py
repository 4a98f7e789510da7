"""Reports as rich tables on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from rich.box import SIMPLE_HEAD
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from mil_bench.base.errors import UnknownNameError, counted
from mil_bench.boards.formats.grid import Grid, Shown, caption, grids_of, with_notes
from mil_bench.boards.laboratories import NAME as LABORATORIES
from mil_bench.boards.report import TABLES, Report
from mil_bench.boards.subgroups import NAME as SUBGROUPS

_WIDEST = 40  # characters of a name on one line
_PADDING = 2
READ = ("overall", "transfer", "hierarchical", "published", LABORATORIES)
"""Tables that a screen shows by default."""
EVERYTHING = "all"
NOTES = 5
"""Notes per board on a screen without ``--verbose``."""
_INTERVALS = _PROBLEMS = 2
_STYLES = {"": "", "best": "bold", "tied": "underline"}


def check_tables(names: Sequence[str]) -> None:
    """Raise ``UnknownNameError`` for a table that no report can have."""
    tables = {*TABLES, LABORATORIES, SUBGROUPS, EVERYTHING}
    for name in names:
        if name not in tables:
            raise UnknownNameError("table", name, tables)


def show(
    reports: Sequence[Report],
    console: Console,
    tables: Sequence[str] = READ,
    *,
    verbose: bool = False,
) -> None:
    """Print every report: its verdict, ``tables``, how to read them, and at most five notes.

    ``all`` is every table; a table that a board does not have is skipped. ``verbose`` prints all
    notes, the names of the other tables, and of an ablation all scores instead of the first one.
    """
    for report in reports:
        console.rule(Text(report.board.title))
        if report.verdict:
            console.print(Text(report.verdict, style="bold"))
        every = grids_of(report, upper=False, long=True)
        grids = [grid for grid in every if EVERYTHING in tables or grid.name in tables]
        # A study has a grid per score: the first is the ranked one.
        if not verbose and report.board.study:
            grids = grids[:1]
        for grid, note in with_notes(grids):
            for table in grid_tables(grid, console.width):
                console.print(table)
            if note and verbose:
                console.print(Text(note, style="dim"))
        if grids:
            console.print(Text(caption(grids), style="dim"))
        if verbose:
            _show_others(every, grids, console)
        elif report.board.study:
            words = "Other scores and tables are in the files and on the page."
            console.print(Text(words, style="dim"))
        _show_notes(report, console, verbose)


def _show_others(every: Sequence[Grid], printed: Sequence[Grid], console: Console) -> None:
    """Name the tables that are not printed."""
    names = dict.fromkeys(grid.name for grid in every if grid not in printed)
    if names:
        words = f"More tables in the files and on the page: {', '.join(names)}"
        console.print(Text(words, style="dim"))


def _show_notes(report: Report, console: Console, verbose: bool) -> None:
    """Print leaks first, then problems (by default two: a note counts them), then other notes."""
    leaks = [Text(f"note: {n}", style="bold red") for n in report.caveats if n.kind == "leak"]
    # Text, not a string: brackets of a message must not become markup.
    problems = [Text(problem, style="red") for problem in report.problems]
    others = [Text(f"note: {n}", style="yellow") for n in report.caveats if n.kind != "leak"]
    notes = [*leaks, *problems, *others]
    shown = notes if verbose else [*leaks, *problems[:_PROBLEMS], *others][:NOTES]
    for line in shown:
        console.print(line)
    if len(notes) > len(shown):
        more = f"{counted(len(notes) - len(shown), 'more note')}: --verbose"
        console.print(Text(more, style="dim"))


def grid_tables(grid: Grid, width: int) -> list[Table]:
    """Return a grid as tables of at most ``width``, if possible: further columns go below.

    Two columns show their interval, below the number; files show all.
    """
    grid = _narrow(grid)
    # A terminal has room for few intervals.
    intervals = _first([any(row[i].interval for row in grid.rows) for i in range(len(grid.heads))])
    rows = [[_text(cell, i in intervals) for i, cell in enumerate(row)] for row in grid.rows]
    widths = [
        max(_widest(head), *(_widest(row[i].plain, i < grid.names) for row in rows), 1)
        for i, head in enumerate(grid.heads)
    ]
    tables: list[Table] = []
    for chosen in _chunks(widths, grid.names, width):
        heads = [grid.heads[i] for i in chosen]
        cells = [[row[i] for i in chosen] for row in rows]
        title = grid.title if not tables else f"{grid.title}, continued"
        fitted = _roomy([widths[i] for i in chosen], heads, width)
        tables.append(_table(replace(grid, title=title), heads, cells, fitted))
    return tables


def _narrow(grid: Grid) -> Grid:
    """The grid without the columns that terminals leave to files."""
    chosen = [i for i in range(len(grid.heads)) if i not in grid.wide]
    heads = tuple(grid.heads[i] for i in chosen)
    rows = tuple(tuple(row[i] for i in chosen) for row in grid.rows)
    names = sum(i < grid.names for i in chosen)
    return replace(grid, heads=heads, rows=rows, names=names)


def _table(
    grid: Grid, heads: Sequence[str], rows: Sequence[Sequence[Text]], widths: Sequence[int]
) -> Table:
    """Some columns of a grid. Cells are plain text, so a name cannot carry markup."""
    table = Table(
        title=Text(grid.title),
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for i, text in enumerate(map(Text, heads)):
        named = i < grid.names
        whole = named and all(len(row[i]) <= _WIDEST for row in rows)
        justify: JustifyMethod = "left" if named else "right"
        table.add_column(text, justify=justify, overflow="fold", no_wrap=whole, width=widths[i])
    for i, row in enumerate(rows):
        if i in grid.rules:
            table.add_section()
        table.add_row(*row)
    return table


def _chunks(widths: Sequence[int], names: int, width: int) -> list[list[int]]:
    """Columns of each table, the names in all of them."""
    left = width - sum(widths[:names]) - _PADDING * names
    chunks: list[list[int]] = [[]]
    used = 0
    for i in range(names, len(widths)):
        # At least one column, however wide it is.
        if chunks[-1] and used + widths[i] + _PADDING > left:
            chunks.append([])
            used = 0
        chunks[-1].append(i)
        used += widths[i] + _PADDING
    return [[*range(names), *chunk] for chunk in chunks]


def _roomy(widths: Sequence[int], heads: Sequence[str], width: int) -> list[int]:
    """Widths that give heads one line, from the left, while there is room."""
    spare = width - sum(widths) - _PADDING * len(widths)
    fitted = []
    for least, head in zip(widths, heads, strict=True):
        more = min(spare, max(0, len(head) - least))
        # Half a head is of no use: all of it or nothing.
        more = more if least + more >= len(head) else 0
        fitted.append(least + more)
        spare -= more
    return fitted


def _first(has: Sequence[bool]) -> list[int]:
    return [i for i, there in enumerate(has) if there][:_INTERVALS]


def _widest(text: str, whole: bool = False) -> int:
    """Length of the longest part that stays on one line: names, numbers with units, words."""
    together = whole or text[:1].isdigit()
    return max(map(len, text.split("\n" if together else None)), default=0)


def _text(cell: Shown, interval: bool) -> Text:
    text = Text(cell.text, style=_STYLES[cell.mark])
    if interval and cell.interval:
        ends = cell.interval.strip("[]").replace(", ", "…")  # shorter than [a, b]
        return Text.assemble(text, "\n", (ends, "dim"))
    return text
