"""Numbers as text for people; files for programs hold them as computed."""

from __future__ import annotations

from mil_bench.evaluation.metrics_table import facts
from mil_bench.leaderboard.tables.column import Column
from mil_bench.leaderboard.tables.table import Number, Row

NONE = "–"
_LEAST = 0.001
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


def unit_of(row: Row, column: Column) -> str:
    """The unit of a cell; in some columns it is that of the row's score."""
    return facts(row.metric).unit if column.unit == "row" else column.unit


def number_text(value: float, unit: str) -> str:
    """``41.7`` for a fraction, ``1.73`` for levels, ``1,024`` for a count; a dash if undefined."""
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
    """``[38.2, 45.0]``; empty where there is none, or for a rank no other."""
    if number.low != number.low or (unit == "rank" and number.low == number.high):
        return ""
    return f"[{number_text(number.low, unit)}, {number_text(number.high, unit)}]"


def _signless_zero(text: str) -> str:
    return text.removeprefix("-") if float(text) == 0 else text


def _prefixed(value: float) -> str:
    for size, prefix in _PREFIXES:
        if value >= size:
            return f"{value / size:.3g} {prefix}"
    return f"{value:.0f}"
