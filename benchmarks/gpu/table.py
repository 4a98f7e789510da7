"""The table of ``gpu.json`` and the answers in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from benchmarks.results import ResultRow
from benchmarks.table import Table

COLUMNS = (
    "",
    "epoch ms",
    "bags/s",
    "x floor",
    "x reading",
    "peak MiB",
    "kernels/step",
    "waits/step",
    "compiled",
    "graph",
)


def print_gpu(rows: Sequence[ResultRow]) -> None:
    """Print the table, and whether kernels grow with the number of bags in a step.

    ``x floor`` counts multiplying and reading, ``x reading`` only reading the features once.
    """
    print(Table("training from features on the device", COLUMNS, [_line(row) for row in rows]))
    print("\n".join(growth(rows)))


def growth(rows: Sequence[ResultRow]) -> Iterator[str]:
    """Yield a sentence for every row that counted kernels: their number for each number of bags."""
    for row in rows:
        counts = {count["bags"]: count["kernels"] for count in row["counts"]}
        verdict = "grow with the bags" if len(set(counts.values())) > 1 else "do not grow"
        told = ", ".join(f"{kernels:.0f} for {bags}" for bags, kernels in counts.items())
        yield f"- {_name(row)}: kernels per step {verdict} ({told} bags)"


def _name(row: ResultRow) -> str:
    return f"{row['workload']}, {row['method']} {row['precision']}, {row['batch']} per step"


def _line(row: ResultRow) -> tuple[str, ...]:
    middle = median(row["seconds"])
    own = next(count for count in row["counts"] if count["bags"] == row["batch"])
    return (
        _name(row),
        f"{1000 * middle:.1f}",
        f"{row['bags'] / middle:,.0f}",
        f"{middle / row['floor']['seconds']:.1f}",
        f"{middle * row['floor']['byte_rate'] / row['floor']['bytes']:.1f}",
        f"{row['peak_mb']:,.0f}",
        f"{own['kernels']:.0f}",
        f"{own['waits']:.1f}",
        _ratio(row["compiled"], middle, "seconds"),
        _ratio(row["graph"], row["graph"]["step_seconds"], "replay_seconds"),
    )


def _ratio(row: ResultRow, base: float, name: str) -> str:
    """``1.20 x``: how much faster than ``base``; a word where it did not work."""
    if "failed" in row:
        return "failed"
    seconds = row[name]
    return f"{base / (median(seconds) if isinstance(seconds, list) else seconds):.2f} x"
