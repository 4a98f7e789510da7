"""Time and memory of one training step on a bag of N patches, N = 1k to 64k.

python -m benchmarks.scaling --method abmil,hmil --precisions bf16
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import product
from typing import Final, cast

import torch

from benchmarks.command import chosen, run
from benchmarks.contestants import OURS, PLAIN, Entry
from benchmarks.plain import BUILDERS
from benchmarks.results import ResultRow, keep, results_path
from benchmarks.scaling_table import print_scaling
from benchmarks.station import Lap, Station
from benchmarks.worker import Worker
from benchmarks.workloads import WORKLOADS, Workload
from mil_bench.cli.parser import numbers
from mil_bench.contract.spec import Precision

DIM: Final = WORKLOADS["W1"].dim
SIZES: Final = "1024,2048,4096,8192,16384,32768,65536"
KEY: Final = ("contestant", "method", "precision", "threads", "size")


def scaling(
    method: str = "mean,max,abmil,clam-mb,hmil",
    precisions: str = "32",
    contestant: str = OURS,
    sizes: str = SIZES,
    steps: int = 5,
    threads: int = 2,
) -> None:
    """Measure, print tables and exponents, keep the rows by hardware."""
    wanted = cast(list[Precision], chosen("precisions", precisions, ("32", "bf16")))
    plain: list[Precision] = ["32"]
    methods, bags = chosen("method", method, BUILDERS), numbers("--sizes", sizes)
    cpu = torch.device("cpu")
    rows = []
    for who in chosen("contestant", contestant, (OURS, PLAIN)):
        for arithmetic, name, size in product(wanted if who == OURS else plain, methods, bags):
            entry = Entry(who, name, one_bag(size), arithmetic)
            key = dict(zip(KEY, (who, name, arithmetic, threads, size), strict=True))
            rows.append({**key, **steps_row(step_laps(entry, steps, threads))})
            keep(results_path("scaling", cpu), rows[-1:], KEY, cpu)
    print_scaling(rows)


def one_bag(size: int) -> Workload:
    """Return a workload that is a single bag of ``size`` patches."""
    return Workload(f"N{size}", "one bag", DIM, size, size, train=1, batch=1)


def step_laps(entry: Entry, steps: int, threads: int) -> list[Lap]:
    """Return ``steps`` steps in a fresh process, where no earlier size has left memory behind."""
    with Worker(partial(Station, entry, threads), threads) as worker:
        laps = [worker.call("lap", "train", number) for number in range(steps + 1)]
    return laps[1:]


def steps_row(laps: Sequence[Lap]) -> ResultRow:
    """Return what is kept of the laps."""
    return {
        "seconds": [lap.seconds for lap in laps],
        "peak_mb": max(lap.peak_mb for lap in laps),
    }


if __name__ == "__main__":
    run(scaling)
