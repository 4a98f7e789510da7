"""CUDA graphs: forward, loss and backward of one fixed batch, recorded once and replayed."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch

from benchmarks.contestants import Entry
from benchmarks.contestants.ours import Ours
from benchmarks.gpu.counting import synchronize
from benchmarks.results import ResultRow
from benchmarks.workloads import Cohort
from mil_bench.nn.precision import autocast

WARM = 3  # steps on a side stream before recording, as PyTorch requires
STEPS = 20  # timed


def graph_row(entry: Entry, cohort: Cohort, device: torch.device) -> ResultRow:
    """Return seconds per step as it is and replayed, or why there is no graph."""
    ours = Ours(entry, cohort, device)
    ours.build()
    ours.method.train()
    gradients = fixed_step(ours)
    as_is = step_seconds(ours, gradients)
    if device.type != "cuda":
        return {"step_seconds": as_is, "failed": "there are no CUDA graphs on a CPU"}
    try:
        replay = recorded(ours, gradients)
    except RuntimeError as error:
        return {"step_seconds": as_is, "failed": str(error).partition("\n")[0]}
    return {"step_seconds": as_is, "replay_seconds": step_seconds(ours, replay)}


def fixed_step(ours: Ours) -> Callable[[], None]:
    """Return forward, loss and backward of the first batch; gradients are allocated again."""
    batch = next(iter(ours.trainer.data.train.epoch(1)))

    def gradients() -> None:
        ours.trainer.optimizer.zero_grad(set_to_none=True)
        with autocast(ours.entry.precision, ours.device):
            terms = ours.method.loss(ours.method(batch), batch, 0.0)
            total = torch.stack([term.float() for term in terms.values()]).sum()
        total.backward()  # type: ignore[no-untyped-call]

    return gradients


def recorded(ours: Ours, gradients: Callable[[], None]) -> Callable[[], None]:
    """Return the same as one launch. Raises ``RuntimeError`` for what a graph cannot hold."""
    stream = torch.cuda.Stream(ours.device)  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream(ours.device))
    with torch.cuda.stream(stream):
        for _ in range(WARM):
            gradients()
    torch.cuda.current_stream(ours.device).wait_stream(stream)
    ours.trainer.optimizer.zero_grad(set_to_none=True)  # so that the graph owns the gradients
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        gradients()
    return graph.replay


def step_seconds(ours: Ours, gradients: Callable[[], None]) -> float:
    """Return mean seconds of a step with the optimiser."""
    for step in range(WARM + STEPS):
        if step == WARM:
            synchronize(ours.device)
            start = time.perf_counter()
        gradients()
        ours.trainer.optimizer.step()
    synchronize(ours.device)
    return (time.perf_counter() - start) / STEPS
