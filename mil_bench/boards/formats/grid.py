"""Tables as text for people, shared by screens, Markdown and LaTeX."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.report import Report
from mil_bench.boards.tables.columns import COLUMNS
from mil_bench.boards.tables.identity import KEYS
from mil_bench.boards.tables.table import Cell, Column, Mark, Number, Row, Table
from mil_bench.evaluation.metrics import Score

ARROWS = {1: " ↑", -1: " ↓", 0: ""}
PIVOTED = ("auc", "sensitivity")
"""Class scores that people see, a grid each with a column per class. Files have all."""
INCOMPLETE = "*"
CHECKS = {"yes": "✓", "no": "·"}
METHOD = COLUMNS["method"].title


@dataclass(frozen=True)
class Shown:
    """One cell: ``41.7`` with its interval ``[38.2, 45.0]`` and mark.

    ``incomplete``: the cell names a row that lacks runs, and its text ends in a star.
    """

    text: str
    interval: str = ""
    mark: Mark = ""
    incomplete: bool = False


@dataclass(frozen=True)
class Grid:
    """One table as text: the first ``names`` columns are words, the others numbers.

    ``name`` is the table's. A rule precedes the rows at ``rules``; columns at ``wide`` are not on
    terminals.
    """

    name: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[Shown, ...], ...]
    names: int
    note: str = ""
    rules: frozenset[int] = frozenset()
    wide: frozenset[int] = frozenset()


def grids_of(report: Report, upper: bool = True, long: bool = False) -> list[Grid]:
    """Return the tables of a report; classes as one grid per score, only leaves unless ``upper``.

    ``long`` includes tables that are too long for a printed page.
    """
    incomplete = {row.label for row in report.board.rows if row.done and not row.complete}
    grids: list[Grid] = []
    for table in report.tables:
        if table.name == "classwise":  # a column per class instead of a row
            grids += _class_grids(table, incomplete, upper)
        elif table.shown and (table.printed or long):
            grids += [grid_of(table, incomplete, lead) for lead in table.leads or (None,)]
    return grids


def grid_of(table: Table, incomplete: Iterable[str] = (), lead: Score | None = None) -> Grid:
    """Return a table, or its rows of the score ``lead``; ``incomplete`` rows get a star."""
    labelled = "variant" in table.keys
    in_title = {"score"} if lead else set()  # no column of equal cells
    named = [key for key in table.keys if key not in in_title and not (labelled and key in KEYS)]
    names = dict.fromkeys((*named, *table.shown))
    shown = [table.column(name) for name in names if name not in in_title]
    # Rows without a score are in every grid.
    lines = [row for row in table.rows if lead is None or row.score in (None, lead)]
    rows = tuple(
        (*([_label(row, incomplete)] if labelled else []), *(_shown(row, c) for c in shown))
        for row in lines
    )
    label = METHOD if "method" in table.keys else table.column("variant").title if labelled else ""
    heads = (*([label] if labelled else []), *map(head, shown))
    title = f"{table.title} ({lead.facts.title})" if lead else table.title
    sections = [row[table.sections] for row in lines] if table.sections else []
    return Grid(
        table.name,
        title,
        heads,
        rows,
        labelled + len(named),
        table.note,
        frozenset(i for i in range(1, len(sections)) if sections[i] != sections[i - 1]),
        frozenset(i for i, column in enumerate(shown, start=int(labelled)) if column.wide),
    )


def with_notes(grids: Sequence[Grid]) -> Iterator[tuple[Grid, str]]:
    """Pair every grid with the note to show below it; grids of one table share a note."""
    # A note is shown once, below the last of neighbouring grids that have it.
    for grid, after in itertools.zip_longest(grids, grids[1:]):
        yield grid, "" if after is not None and after.note == grid.note else grid.note


def _class_grids(table: Table, incomplete: Iterable[str], upper: bool) -> list[Grid]:
    """Methods by classes: one grid per score, level and decision."""
    places = dict.fromkeys((row["level"], row["source"]) for row in table.rows)
    return [
        _class_grid(table, metric, place, incomplete)
        # False sorts first: leaves before upper levels.
        for place in sorted(places, key=lambda place: place[0] != LEAF)
        if upper or place[0] == LEAF
        for metric in PIVOTED
    ]


def _class_grid(
    table: Table, metric: str, place: tuple[Cell, Cell], incomplete: Iterable[str]
) -> Grid:
    rows = [row for row in table.rows if (row["level"], row["source"]) == place]
    column = table.column(metric)
    classes = tuple(dict.fromkeys(str(row["class"]) for row in rows))
    of_method: dict[str, dict[str, Row]] = {}
    for row in rows:
        of_method.setdefault(row.method, {})[str(row["class"])] = row
    lines = tuple(
        (
            _label(next(iter(by_class.values())), incomplete),
            *(_shown(by_class[c], column) if c in by_class else Shown(NONE) for c in classes),
        )
        for by_class in of_method.values()
    )
    level, source = map(str, place)
    where = level if level == LEAF else f"{level}, {source}"
    title = f"{table.title}: {column.title}{ARROWS[column.better]} ({where})"
    return Grid(table.name, title, (METHOD, *classes), lines, 1)


def head(column: Column) -> str:
    """Return ``AUC ↑``."""
    return f"{column.title}{ARROWS[column.better] if column.unit != 'rank' else ''}"


def _label(row: Row, incomplete: Iterable[str]) -> Shown:
    lacks_runs = row.method in incomplete
    return Shown(row.method + INCOMPLETE * lacks_runs, incomplete=lacks_runs)


def _shown(row: Row, column: Column) -> Shown:
    cell = row[column.name]
    if column.unit == "check":
        return Shown(CHECKS.get(str(cell), ""))
    if not isinstance(cell, Number):
        return Shown(_word(cell, row, column) if cell else NONE)
    unit = row.unit(column)
    return Shown(number_text(cell.value, unit), interval_text(cell, unit), cell.mark)


def _word(text: str, row: Row, column: Column) -> str:
    if column.name == "coverage":
        return text.replace(" of ", "/")
    return row.score.facts.title if column.unit == "score" and row.score else text


def caption(grids: Sequence[Grid]) -> str:
    """Explain numbers, intervals and marks of the grids."""
    words = ["fractions x 100", "[95 % CI, bootstrap over patients]"]
    if any(cell.mark == "best" for grid in grids for row in grid.rows for cell in row):
        words.append("bold: best; underlined: not significantly different from it (paired, Holm)")
    if any(row[0].incomplete for grid in grids for row in grid.rows):
        words.append(f"{INCOMPLETE} missing runs, so neither ranked nor compared")
    return "; ".join(words)


# Numbers as text for people; files for programs have all digits.

NONE = "–"
_LEAST = 0.001
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def number_text(value: float, unit: str) -> str:
    """Return ``41.7`` for a fraction, ``1.73`` for levels, ``1,024`` for a count."""
    if value != value:
        return NONE
    match unit:
        case "fraction":
            return _signless_zero(f"{100 * value:.1f}")
        case "count":
            return f"{value:,.0f}"
        case "rank":
            return f"{value:.0f}"
        case "probability":
            return f"<{_LEAST}" if 0 < value < _LEAST else f"{value:.3f}"
        case "seconds":
            return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
        case "hours":
            return f"{value:.3g} h"
        case "MiB":
            return f"{value:.0f} MiB"
        case "FLOPs":
            return _prefixed(value)
    return _signless_zero(f"{value:.2f}")


def interval_text(number: Number, unit: str) -> str:
    """Return ``[38.2, 45.0]``, empty without an interval or for a rank that is certain."""
    if number.low != number.low or (unit == "rank" and number.low == number.high):
        return ""
    return f"[{number_text(number.low, unit)}, {number_text(number.high, unit)}]"


def _signless_zero(text: str) -> str:
    return text.removeprefix("-") if float(text) == 0 else text  # "-0.0" misleads


def _prefixed(value: float) -> str:
    for size, prefix in _PREFIXES:
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.0f}"
