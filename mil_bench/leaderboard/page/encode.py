"""Tables for the page: column by column, numbers as in the CSV files, nothing twice."""

from __future__ import annotations

from typing import Any

from mil_bench.leaderboard.formats.csv_text import cell as csv_cell
from mil_bench.leaderboard.tables.column import Column
from mil_bench.leaderboard.tables.table import Cell, Number, Table


def encode(table: Table) -> dict[str, Any]:
    """A table as JSON values; ``cells`` holds a list for every column."""
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "keys": table.keys,
        "shown": table.shown,
        "columns": [_column(column) for column in table.columns],
        "methods": _packed([row.method for row in table.rows]),
        "metrics": _packed([row.metric for row in table.rows]),
        "cells": [_packed([_cell(row[c.name]) for row in table.rows]) for c in table.columns],
    }


def number(value: float) -> float | int | None:
    """A number as the CSV files round it; ``None`` for ``nan``."""
    if value != value:
        return None
    rounded = float(csv_cell(float(value)))
    return int(rounded) if rounded.is_integer() else rounded


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "title": column.title,
        "unit": column.unit,
        "percent": column.percent,
        "better": column.better,
        "level": column.level,
        "interval": column.interval,
        "note": column.note,
    }


def _packed(values: list[Any]) -> Any:
    """Texts that repeat as ``{"of": texts, "at": positions}``, ``-1`` for ``None``; else as is."""
    if any(isinstance(value, list) for value in values):
        return values
    texts = list(dict.fromkeys(value for value in values if value is not None))
    if 2 * len(texts) > len(values):
        return values
    place = {text: i for i, text in enumerate(texts)}
    return {"of": texts, "at": [place.get(value, -1) for value in values]}


def _cell(cell: Cell) -> Any:
    """``None``, a text, or ``[value, low, high, sd_folds, sd_seeds, mark, note]`` cut short."""
    if not isinstance(cell, Number):
        return cell
    parts = [number(v) for v in (cell.value, cell.low, cell.high, cell.sd_folds, cell.sd_seeds)]
    full = [*parts, cell.mark or None, cell.note or None]
    while full and full[-1] is None:
        full.pop()
    return full
