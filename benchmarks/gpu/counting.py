"""What one training step costs in kernels and in waits of the host for the device.

Counted as the difference between an epoch and one of twice as many steps, so that what happens
once an epoch (the sums of the losses) does not count. On a CPU, operators stand for kernels.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.contestants import Entry
from benchmarks.contestants.ours import Ours
from benchmarks.gpu.cohort import repeated_cohort

STEPS = 4
TOP = 30  # lines of the profile's table


@dataclass(frozen=True)
class StepCounts:
    """Per training step of ``bags`` bags."""

    bags: int
    kernels: float
    waits: float


def step_counts(entry: Entry, device: torch.device) -> StepCounts:
    """Return counts of a step of ``entry.batch`` bags."""
    short, long = (_trained(entry, steps, device) for steps in (STEPS, 2 * STEPS))
    kernels = count_kernels(long, device) - count_kernels(short, device)
    waits = count_waits(long, device) - count_waits(short, device)
    return StepCounts(entry.batch, kernels / STEPS, waits / STEPS)


def count_kernels(epoch: Callable[[], None], device: torch.device) -> int:
    """Kernels launched on a GPU (copies are none); outermost operators on a CPU."""
    with profile(activities=_activities(device)) as profiler:
        epoch()
        synchronize(device)
    events = profiler.events() or []
    if device.type == "cuda":
        on_device = [event for event in events if event.device_type.name == "CUDA"]
        return sum(not event.name.startswith(("Memcpy", "Memset")) for event in on_device)
    operators = [event for event in events if event.name.startswith("aten::")]
    return sum(
        event.cpu_parent is None or not event.cpu_parent.name.startswith("aten::")
        for event in operators
    )


def count_waits(epoch: Callable[[], None], device: torch.device) -> int:
    """Operations that made the host wait for the GPU; a CPU never waits."""
    if device.type != "cuda":
        return 0
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            epoch()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchronizing CUDA operation" in str(warning.message) for warning in caught)


def write_profile(entry: Entry, device: torch.device, folder: Path) -> Path:
    """Write a Chrome trace of a few steps and the table of the dearest operators beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{entry.workload.name}-{entry.method}-{entry.precision}-{entry.batch}"
    epoch = _trained(entry, STEPS, device)
    with profile(activities=_activities(device), record_shapes=True) as profiler:
        epoch()
        synchronize(device)
    trace = folder / f"{name}.json"
    profiler.export_chrome_trace(str(trace))
    order = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    table = profiler.key_averages().table(sort_by=order, row_limit=TOP)
    (folder / f"{name}.txt").write_text(table)
    return trace


def synchronize(device: torch.device) -> None:
    """Wait for all work on ``device``."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _trained(entry: Entry, steps: int, device: torch.device) -> Callable[[], None]:
    """An epoch of ``steps`` steps of a warm model."""
    ours = Ours(entry, repeated_cohort(entry.workload, steps * entry.batch), device)
    ours.build()
    for epoch in (1, 2):
        ours.train(epoch)
    synchronize(device)
    return lambda: ours.train(3)


def _activities(device: torch.device) -> list[ProfilerActivity]:
    cuda = [ProfilerActivity.CUDA] if device.type == "cuda" else []
    return [ProfilerActivity.CPU, *cuda]
