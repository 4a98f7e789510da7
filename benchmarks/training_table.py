"""The tables of ``training.json``: one for every workload, method, mode and number of threads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import median
from typing import Final

from benchmarks.contestants import PLAIN, Entry
from benchmarks.results import ResultRow
from benchmarks.station import Mode
from benchmarks.table import Table

COLUMNS: Final = (
    "",
    "bags/s",
    "instances/s",
    "spread",
    "x plain [min, max]",
    "of floor",
    "peak MiB",
    "BA / AUC",
    "difference",
)
KEY: Final = (
    "workload",
    "method",
    "mode",
    "threads",
    "contestant",
    "precision",
    "batch",
    "dropout",
)
LEGEND: Final = """\
Medians over rounds. Spread is (max - min) / median. x plain is the ratio to the plain loop within a
round. Of floor is the share of the physical limit (multiplications at the measured rate, reading at
the measured bandwidth); it passes 100 % where exact algebra saves multiplications. Peak MiB is
memory above the data, model and optimiser included. BA / AUC are scores on held-out bags after
equal epochs. Difference is the larger of the relative L2 differences of loss and gradient from the
plain form without dropout."""
NONE = "–"


def row_key(entry: Entry, mode: Mode, threads: int) -> ResultRow:
    """Return what makes two measurements the same one."""
    values = (
        entry.workload.name,
        entry.method,
        mode,
        threads,
        entry.contestant,
        entry.precision,
        entry.batch,
        entry.dropout,
    )
    return dict(zip(KEY, values, strict=True))


def training_tables(rows: Iterable[ResultRow]) -> Iterator[Table]:
    """Yield a table per comparison, in the order of ``rows``."""
    groups: dict[str, list[ResultRow]] = {}
    for row in rows:
        groups.setdefault(_group(row), []).append(row)
    for group, found in groups.items():
        measured = [_line(row) for row in found if "skipped" not in row]
        notes = [f"{_who(row)}: skipped, {row['skipped']}" for row in found if "skipped" in row]
        yield Table(group, COLUMNS, measured, notes)


def print_tables(rows: Iterable[ResultRow]) -> None:
    """Print the tables of ``rows``."""
    for table in training_tables(rows):
        print(table, flush=True)


def print_training(rows: Iterable[ResultRow]) -> None:
    """Print the tables and how to read them."""
    print_tables(rows)
    print(LEGEND)


def _group(row: ResultRow) -> str:
    threads = f"{row['threads']} thread{'s' * (row['threads'] > 1)}"
    return f"{row['workload']}, {row['method']}, {row['mode']}, {threads}"


def _line(row: ResultRow) -> tuple[str, ...]:
    seconds, ratios = row["seconds"], row["ratios"]
    middle = median(seconds)
    return (
        _who(row),
        f"{row['bags'] / middle:.1f}",
        f"{row['instances'] / middle:,.0f}",
        f"{(max(seconds) - min(seconds)) / middle:.0%}",
        f"{median(ratios):.2f} [{min(ratios):.2f}, {max(ratios):.2f}]",
        f"{row['floor']['seconds'] / middle:.0%}",
        f"{row['peak_mb']:,.0f}",
        _quality(row),
        f"{max(row['difference'].values()):.0e}" if "difference" in row else NONE,
    )


def _who(row: ResultRow) -> str:
    """``ours bf16, 16 bags, no dropout``."""
    parts = [row["contestant"] if row["contestant"] == PLAIN else _stepwise(row)]
    if not row["dropout"]:
        parts.append("no dropout")
    return ", ".join(parts)


def _stepwise(row: ResultRow) -> str:
    bags = "1 bag" if row["batch"] == 1 else f"{row['batch']} bags"
    return f"{row['contestant']} {row['precision']}, {bags}"


def _quality(row: ResultRow) -> str:
    if "quality" not in row:
        return NONE
    scores = row["quality"]
    return f"{100 * scores['balanced_accuracy']:.1f} / {100 * scores['macro_auc']:.1f}"
