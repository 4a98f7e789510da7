"""Measure training on a GPU: epochs, floor, kernels, waits, profile, compilation, graphs.

python -m benchmarks.gpu
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from itertools import product
from pathlib import Path
from typing import Final, cast

import torch

from benchmarks.command import chosen, run
from benchmarks.contestants import OURS, Entry
from benchmarks.gpu.cohort import repeated_cohort
from benchmarks.gpu.counting import step_counts, write_profile
from benchmarks.gpu.epochs import compiled_row, epochs_row
from benchmarks.gpu.graph import graph_row
from benchmarks.gpu.table import print_gpu
from benchmarks.machine import Machine
from benchmarks.plain import BUILDERS
from benchmarks.results import ResultRow, keep, results_path
from benchmarks.workloads import WORKLOADS
from mil_bench.base.errors import RunError
from mil_bench.cli.parser import numbers
from mil_bench.contract.spec import Precision
from mil_bench.training.checkpoint import make_deterministic

BAGS: Final = {"W1": 437, "W2": 2048, "W3": 200}  # an epoch; W1 as in performance.md
COUNTED: Final = (1, 4, 16)  # bags per step whose kernels are compared
KEY: Final = ("workload", "method", "precision", "batch")


def gpu(
    workload: str = "W1,W3",
    method: str = "abmil,clam-mb,hmil",
    precisions: str = "32,bf16",
    batches: str = "1,16",
    rounds: int = 5,
    profiles: Path = Path("gpu-profiles"),
) -> None:
    """Measure, print the table, keep the rows by hardware; traces go to ``profiles``."""
    if not torch.cuda.is_available():
        raise RunError(
            "PyTorch finds no CUDA device; run this on a machine with an NVIDIA GPU and a CUDA "
            "build of PyTorch."
        )
    device = torch.device("cuda")
    make_deterministic(device)
    wanted = product(
        chosen("workload", workload, BAGS),
        chosen("method", method, BUILDERS),
        cast(list[Precision], chosen("precisions", precisions, ("32", "bf16"))),
        numbers("--batches", batches),
    )
    rows = []
    for place, name, arithmetic, bags in wanted:
        entry = Entry(OURS, name, WORKLOADS[place], arithmetic, bags)
        rows.append(everything(entry, BAGS[place], device, rounds, COUNTED, profiles))
        keep(results_path("gpu", device), rows[-1:], KEY, device)
    print_gpu(rows)


def everything(
    entry: Entry,
    bags: int,
    device: torch.device,
    rounds: int,
    counted: Sequence[int],
    profiles: Path,
) -> ResultRow:
    """Return all that is measured of ``entry`` on a cohort of ``bags`` bags."""
    cohort = repeated_cohort(entry.workload, bags)
    rates = Machine((entry.precision,), torch.get_num_threads(), device.type).rates()
    write_profile(entry, device, profiles)
    key = (entry.workload.name, entry.method, entry.precision, entry.batch)
    return {
        **dict(zip(KEY, key, strict=True)),
        **epochs_row(entry, cohort, device, rounds, rates),
        "counts": [
            asdict(step_counts(replace(entry, batch=n), device))
            for n in sorted({*counted, entry.batch})
        ],
        "compiled": compiled_row(entry, cohort, device, rounds),
        "graph": graph_row(entry, cohort, device),
    }


if __name__ == "__main__":
    run(gpu)
