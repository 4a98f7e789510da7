"""CSV text that is safe for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import pandas as pd

from mil_bench.evaluation.csv_safety import escape

_DECIMALS = 6
_SMALL = 0.01


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A header and rows; undefined (``nan``, ``None``) is empty.

    Six decimals, of small numbers six digits; whole numbers from 2 up (counts) have none.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([escape(name) for name in columns])
    writer.writerows([cell(value) for value in row] for row in rows)
    return file.getvalue()


def to_csv(table: pd.DataFrame) -> str:
    """The same for a pandas table."""
    return csv_text([str(c) for c in table.columns], table.itertuples(index=False, name=None))


def cell(value: object) -> str:
    """One cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, float):
        if value != value:
            return ""
        if value >= 2 and value.is_integer():
            return f"{value:.0f}"
        small = 0 < abs(value) < _SMALL
        return f"{value:.{_DECIMALS}g}" if small else f"{value:.{_DECIMALS}f}"
    return str(value)
