"""A table as programs read it: a line per number, with all that is known of it."""

from __future__ import annotations

from dataclasses import astuple, fields

from mil_bench.leaderboard.formats.csv_text import csv_text
from mil_bench.leaderboard.tables.table import Cell, Number, Table


def csv_tidy(table: Table) -> str:
    """CSV text: the keys of the row, ``metric``, then the fields of :class:`Number`.

    Numbers that do not exist for a row have no line, undefined ones have an empty ``value``.
    """
    names = [*table.keys, "metric", *(f.name for f in fields(Number))]
    rows = (
        [*(_key(row[key]) for key in table.keys), column.name, *astuple(number)]
        for row in table.rows
        for column in table.columns
        if column.name not in table.keys and isinstance(number := row[column.name], Number)
    )
    return csv_text(names, rows)


def _key(cell: Cell) -> str | float | None:
    return cell.value if isinstance(cell, Number) else cell
