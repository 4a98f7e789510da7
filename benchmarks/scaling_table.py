"""The tables of ``scaling.json``, and whether the largest bag stays below the limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from statistics import median
from typing import Final

import numpy as np

from benchmarks.results import ResultRow
from benchmarks.table import Table

TAIL: Final = 3  # largest sizes, whose exponent shows what dominates at last
LIMIT_MB: Final = 2048.0


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return slope of ``log value`` over ``log size`` by least squares: 1 is linear."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])


def print_scaling(rows: Sequence[ResultRow]) -> None:
    """Print both tables and the largest bag against the limit."""
    groups = list(_groups(rows))
    print(_table("milliseconds per training step", groups, _milliseconds))
    print(_table("peak MiB above the data", groups, _memory))
    print("\n".join(largest_bags(groups)))


def largest_bags(groups: Iterable[tuple[str, Sequence[ResultRow]]]) -> Iterator[str]:
    """Yield ``a bag of 65,536 patches trains under 2 GiB over the data: ...`` for every group."""
    for name, rows in groups:
        largest = max(rows, key=lambda row: int(row["size"]))
        verdict = "under" if largest["peak_mb"] < LIMIT_MB else "NOT under"
        yield (
            f"- {name}: a bag of {largest['size']:,} patches trains {verdict} "
            f"{LIMIT_MB / 1024:.0f} GiB over the data ({largest['peak_mb']:,.0f} MiB)"
        )


def _groups(rows: Iterable[ResultRow]) -> Iterator[tuple[str, list[ResultRow]]]:
    """Rows of one method, contestant and precision, by size."""
    found: dict[str, list[ResultRow]] = {}
    for row in sorted(rows, key=lambda row: int(row["size"])):
        name = f"{row['method']}, {row['contestant']} {row['precision']}, {row['threads']} threads"
        found.setdefault(name, []).append(row)
    yield from found.items()


def _table(
    title: str,
    groups: Sequence[tuple[str, Sequence[ResultRow]]],
    value: Callable[[ResultRow], float],
) -> Table:
    sizes = sorted({int(row["size"]) for _, rows in groups for row in rows})
    lines = []
    for name, rows in groups:
        values = {int(row["size"]): value(row) for row in rows}
        cells = [f"{values[size]:,.0f}" if size in values else "" for size in sizes]
        lines.append((name, *cells, _slope(values), _slope(dict(list(values.items())[-TAIL:]))))
    heads = (f"{size:,}" for size in sizes)
    return Table(title, ("", *heads, "exponent", f"of the last {TAIL}"), lines)


def _slope(values: dict[int, float]) -> str:
    return f"{exponent(list(values), list(values.values())):.2f}" if len(values) > 1 else ""


def _milliseconds(row: ResultRow) -> float:
    return 1000 * float(median(row["seconds"]))


def _memory(row: ResultRow) -> float:
    return float(row["peak_mb"])
