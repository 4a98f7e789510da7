"""Reading one bag from every layout, and how long training waits for bags.

python -m benchmarks.loading --rows 20000 --dim 1024
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
import torch

from benchmarks.command import run
from benchmarks.contestants.ours import Ours
from benchmarks.layouts import Read, readers
from benchmarks.results import ResultRow, keep, results_path
from benchmarks.table import Table
from benchmarks.wait_share import WAIT_KEY, print_waits, wait_rows
from mil_bench.base.errors import UsageError

CPU = torch.device("cpu")
REFERENCE = "TRIDENT h5, chunks (1, D)"
KEY: Final = ("layout", "rows", "dim", "threads")


def loading(
    rows: int = 20_000,
    dim: int = 1024,
    rounds: int = 9,
    threads: int = 2,
    workload: str = "W1",
    folder: Path | None = None,
) -> None:
    """Measure, print the tables, keep the rows by hardware."""
    if folder is not None and not folder.is_dir():
        raise UsageError(f"folder {folder} does not exist; expected a folder to write in.")
    torch.set_num_threads(threads)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        bag = rng.standard_normal((rows, dim), dtype=np.float32)
        times = race(readers(bag, Path(place)), rounds)
    size = {"rows": rows, "dim": dim, "threads": threads}
    found = [{"layout": name, **size, **one} for name, one in times.items()]
    keep(results_path("loading", CPU), found, KEY, CPU)
    print_loading(found)
    if workload != "none":
        Ours.prepare()
        waits = wait_rows(workload, rounds, folder)
        keep(results_path("waiting", CPU), waits, WAIT_KEY, CPU)
        print_waits(waits)


def race(contestants: Mapping[str, Read], rounds: int) -> dict[str, ResultRow]:
    """Return seconds of every reader in interleaved rounds, after one that does not count.

    ``read`` ends when the tensor is there; a view of a mapped file is there before its bytes are.
    ``used`` ends when every byte has been used once, by a sum.
    """
    times: dict[str, ResultRow] = {name: {"read": [], "used": []} for name in contestants}
    for number in range(rounds + 1):
        for name, read in contestants.items():
            start = time.perf_counter()
            tensor = read()
            there = time.perf_counter()
            tensor.sum()
            end = time.perf_counter()
            del tensor
            if number > 0:
                times[name]["read"].append(there - start)
                times[name]["used"].append(end - start)
    return times


def print_loading(rows: Sequence[ResultRow]) -> None:
    """Print milliseconds and how many times faster than TRIDENT's layout."""
    reference = next(row for row in rows if row["layout"] == REFERENCE)
    title = f"one bag of {reference['rows']:,} x {reference['dim']} to float32, warm page cache"
    lines = [
        (
            row["layout"],
            f"{1000 * median(row['read']):.2f}",
            *_of(row, "used"),
            f"{_ratio(reference, row):.1f}",
        )
        for row in rows
    ]
    heads = ("layout", "tensor ms", "used ms", "min", "max", "times faster")
    notes = (
        "tensor: until the tensor is there; the bytes of a view of the packed file are not read "
        "by then",
        "used: until every byte has been used once, by a sum; spread and ratios are of that",
        "times faster: median over rounds of the ratio to TRIDENT's layout in the same round",
    )
    print(Table(title, heads, lines, notes))


def _ratio(reference: ResultRow, row: ResultRow) -> float:
    return float(median(r / one for r, one in zip(reference["used"], row["used"], strict=True)))


def _of(row: ResultRow, what: str) -> tuple[str, str, str]:
    times = [1000 * seconds for seconds in row[what]]
    return f"{median(times):.2f}", f"{min(times):.2f}", f"{max(times):.2f}"


if __name__ == "__main__":
    run(loading)
