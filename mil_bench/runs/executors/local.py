"""Runs on this machine: one after another in this process, or several in worker processes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.executors.worker_pool import Death, Worker, WorkerPool
from mil_bench.runs.machine import MachineRequest, devices
from mil_bench.runs.open_dataset import Homes
from mil_bench.runs.run_worker import Workshop
from mil_bench.runs.task import Outcome, Prepare, Task
from mil_bench.training.progress import Reporter


def run_here(
    tasks: Sequence[Task], machine: MachineRequest, prepare: Prepare, reporter: Reporter
) -> Iterator[Outcome]:
    """Make the tasks one after another in this process, which tells ``reporter`` every epoch."""
    places = devices(machine.device, 1)
    homes = _decide(tasks, machine, places, prepare)
    workshop = Workshop(places[0], machine.threads, homes, prepare)
    for task in tasks:
        yield workshop.execute(task, RunDirectory.of(machine.runs, task.spec), reporter)


@dataclass(frozen=True)
class LocalExecutor:
    """Worker processes of this machine; several GPUs are dealt out in turn."""

    machine: MachineRequest
    prepare: Prepare

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """Execute with one worker per job. A worker that is killed leaves a failed run."""
        waiting = deque(tasks)
        places = devices(self.machine.device, min(self.machine.jobs, len(tasks)))
        homes = _decide(tasks, self.machine, places, self.prepare)
        running: dict[Worker, Task] = {}

        def hand_next_task(worker: Worker) -> None:
            task = waiting.popleft() if waiting else None
            if task is not None:
                running[worker] = task
            worker.send(task)  # None sends it home

        with WorkerPool(_work, self.machine.threads, homes, self.machine.runs) as pool:
            for device in places:
                hand_next_task(pool.start(device))
            for worker, event in pool.events():
                task = running.pop(worker, None)
                if not isinstance(event, Death):
                    hand_next_task(worker)
                    yield event
                elif task is not None:
                    if waiting:
                        hand_next_task(pool.start(worker.device))
                    yield _killed(task, event, self.machine.runs)


def _work(device: torch.device, threads: int, homes: Homes, runs: Path, pipe: Connection) -> None:
    """The work of one process: execute runs until there are none."""
    workshop = Workshop(device, threads, homes)
    while (task := pipe.recv()) is not None:
        pipe.send(workshop.execute(task, RunDirectory.of(runs, task.spec), Reporter()))


def _killed(task: Task, death: Death, runs: Path) -> Outcome:
    """The failed run of a worker that died without a word."""
    sentence = (
        f"the worker process was {death}; if the system ran out of memory, use fewer --jobs, then "
        "run `mil-bench retry --failed`."
    )
    with suppress(OSError):  # the outcome is reported in any case
        RunDirectory.of(runs, task.spec).fail_without_trace(task.spec.key, sentence)
    return Outcome(task.spec, "failed", sentence)


def _decide(
    tasks: Sequence[Task], machine: MachineRequest, places: Sequence[torch.device], prepare: Prepare
) -> Homes:
    """All decisions before the first run: a refusal must stop the grid, and memory is free now."""
    homes = Homes(machine.cache, places)
    for task in tasks:
        homes.of(prepare(task.data)[0], task.spec.precision)
    return homes
