"""Epochs from features on the device, as the harness trains and compiled by PyTorch."""

from __future__ import annotations

import time
from dataclasses import asdict

import torch

from benchmarks.contestants import Entry
from benchmarks.contestants.ours import Ours
from benchmarks.floors import epoch_floor
from benchmarks.gpu.counting import synchronize
from benchmarks.machine import Rates
from benchmarks.memory import used_mb
from benchmarks.results import ResultRow
from benchmarks.workloads import Cohort
from mil_bench.runs.environment import peak_memory_mb

WARM = 2  # epochs before the clock runs; compilation happens there


def epochs_row(
    entry: Entry, cohort: Cohort, device: torch.device, rounds: int, rates: Rates
) -> ResultRow:
    """Return epochs of ``entry`` on ``cohort`` with their floor and peak memory above the data."""
    ours = Ours(entry, cohort, device)
    data_mb = used_mb(device)
    ours.build()
    seconds = epoch_seconds(ours, rounds)
    sizes = [cohort.store.rows[slide][1] for slide in cohort.train]
    floor = epoch_floor(entry, "train", sizes, [rates])
    return {
        "bags": len(sizes),
        "instances": sum(sizes),
        "seconds": seconds,
        "peak_mb": peak_memory_mb(device) - data_mb,
        "floor": {**asdict(floor), "seconds": floor.seconds},
    }


def compiled_row(entry: Entry, cohort: Cohort, device: torch.device, rounds: int) -> ResultRow:
    """Epochs with ``torch.compile`` for changing sizes, or why there are none."""
    ours = Ours(entry, cohort, device)
    ours.build()
    ours.method.compile(dynamic=True)
    try:
        return {"seconds": epoch_seconds(ours, rounds)}
    except Exception as error:  # whatever the compiler cannot do is the result
        return {"failed": _first_line(error)}


def epoch_seconds(ours: Ours, rounds: int) -> list[float]:
    """Seconds of ``rounds`` epochs, each until the device is done."""
    seconds = []
    for epoch in range(1, WARM + rounds + 1):
        synchronize(ours.device)
        start = time.perf_counter()
        ours.train(epoch)
        synchronize(ours.device)
        seconds.append(time.perf_counter() - start)
    return seconds[WARM:]


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
