"""Runs on this machine: sequentially in this process, or in parallel in worker processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.execute import FeaturePlacement
from mil_bench.runs.executors.worker_pool import Death, Worker, WorkerPool
from mil_bench.runs.machine import MachineRequest, devices
from mil_bench.runs.run_worker import RunWorker
from mil_bench.runs.task import Prepare, RunOutcome, Task
from mil_bench.training.progress import Reporter


def run_here(
    tasks: Sequence[Task], machine: MachineRequest, prepare: Prepare, reporter: Reporter
) -> Iterator[RunOutcome]:
    """Execute the tasks sequentially in this process; ``reporter`` receives every epoch."""
    (device,) = devices(machine.device, 1)
    placement = _place_features(tasks, machine, [device], prepare)
    worker = RunWorker(device, machine.threads, placement, prepare)
    for task in tasks:
        yield worker.execute(task, RunDirectory.of(machine.runs, task.spec), reporter)


@dataclass(frozen=True)
class LocalExecutor:
    """Worker processes of this machine; several GPUs are used in turn."""

    machine: MachineRequest
    prepare: Prepare

    def run(self, tasks: Sequence[Task]) -> Iterator[RunOutcome]:
        """Execute with one worker per job. A worker that is killed leaves a failed run."""
        waiting = deque(tasks)
        pool_devices = devices(self.machine.device, min(self.machine.jobs, len(tasks)))
        # All devices are known: memory is divided among them.
        placement = _place_features(tasks, self.machine, pool_devices, self.prepare)
        running: dict[Worker, Task] = {}

        def hand_next_task(worker: Worker) -> None:
            task = waiting.popleft() if waiting else None
            if task is not None:
                running[worker] = task
            worker.send(task)  # None sends it home

        with WorkerPool(_work, self.machine.threads, placement, self.machine.runs) as pool:
            for device in pool_devices:
                hand_next_task(pool.start(device))
            for worker, event in pool.events():
                task = running.pop(worker, None)
                if not isinstance(event, Death):  # ready for the next task
                    hand_next_task(worker)
                    yield event
                elif task is not None:  # a worker that died idle leaves no run
                    if waiting:
                        # Its successor, on the same device.
                        hand_next_task(pool.start(worker.device))
                    yield _killed(task, event, self.machine.runs)


def _work(
    device: torch.device, threads: int, placement: FeaturePlacement, runs: Path, pipe: Connection
) -> None:
    """The work of one process: execute runs until there are none."""
    worker = RunWorker(device, threads, placement)
    while (task := pipe.recv()) is not None:  # None: no task is left
        pipe.send(worker.execute(task, RunDirectory.of(runs, task.spec), Reporter()))


def _killed(task: Task, death: Death, runs: Path) -> RunOutcome:
    """The failed run of a worker that died without an error message."""
    sentence = (
        f"the worker process was {death}; if the system ran out of memory, use fewer --jobs, then "
        "run `mil-bench retry --failed`."
    )
    with suppress(OSError):  # the outcome is reported in any case
        RunDirectory.of(runs, task.spec).fail_without_trace(task.spec.key, sentence)
    return RunOutcome(task.spec, "failed", sentence)


def _place_features(
    tasks: Sequence[Task],
    machine: MachineRequest,
    pool_devices: Sequence[torch.device],
    prepare: Prepare,
) -> FeaturePlacement:
    """All decisions before the first run: a refusal must stop the grid, and memory is free now."""
    placement = FeaturePlacement(machine.cache, pool_devices)
    for task in tasks:
        placement.of(prepare(task.data)[0], task.spec.precision)
    return placement
