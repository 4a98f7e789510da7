"""A table as people open it: a line per row, a column per number and per end of its interval."""

from __future__ import annotations

from collections.abc import Iterator

from mil_bench.leaderboard.formats.csv_text import csv_text
from mil_bench.leaderboard.tables.column import Column
from mil_bench.leaderboard.tables.table import Number, Row, Table

PARTS = ("value", "low", "high", "sd_folds", "sd_seeds")
"""Fields of a number. The value has the column's own name, ``macro_auc_low`` is its lower end."""


def csv_wide(table: Table) -> str:
    """CSV text. Parts that no row has are left out; ``notes`` tells what is wrong with numbers."""
    wanted = [(c, part) for c in table.columns for part in _parts(table, c)]
    names = [c.name if part in ("", "value") else f"{c.name}_{part}" for c, part in wanted]
    rows = (
        [*(_value(row, c, part) for c, part in wanted), _notes(table, row)] for row in table.rows
    )
    return csv_text([*names, "notes"], rows)


def _parts(table: Table, column: Column) -> Iterator[str]:
    numbers = [n for row in table.rows if isinstance(n := row[column.name], Number)]
    if not numbers:
        yield ""
    for part in PARTS if numbers else ():
        if part == "value" or any(getattr(n, part) == getattr(n, part) for n in numbers):
            yield part


def _value(row: Row, column: Column, part: str) -> object:
    found = row[column.name]
    return getattr(found, part or "value") if isinstance(found, Number) else found


def _notes(table: Table, row: Row) -> str:
    numbers = ((c.name, row[c.name]) for c in table.columns)
    told = [f"{name}: {n.note}" for name, n in numbers if isinstance(n, Number) and n.note]
    return "; ".join(told)
