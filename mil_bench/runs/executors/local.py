"""Runs on this machine: one after another in this process, or several in worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path

import torch

from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.executors.worker_pool import Child, begin
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


@dataclass
class _Worker:
    child: Child
    device: torch.device
    task: Task


@dataclass(frozen=True)
class LocalExecutor:
    """Worker processes of this machine; several GPUs are dealt out in turn."""

    machine: MachineRequest
    prepare: Prepare

    def run(self, tasks: Sequence[Task]) -> Iterator[Outcome]:
        """One worker per job. A worker that is killed leaves a failed run and is replaced."""
        waiting = list(reversed(tasks))
        places = devices(self.machine.device, min(self.machine.jobs, len(tasks)))
        homes = _decide(tasks, self.machine, places, self.prepare)
        workers: list[_Worker] = []
        try:
            for device in places:
                workers.append(self._start(device, homes, waiting.pop()))
            while workers:
                ready = wait([worker.child.pipe for worker in workers])
                for worker in [worker for worker in workers if worker.child.pipe in ready]:
                    try:
                        outcome = worker.child.hear()
                    except EOFError:
                        workers.remove(worker)
                        outcome = _killed(worker, self.machine.runs)
                        if waiting:
                            workers.append(self._start(worker.device, homes, waiting.pop()))
                    else:
                        if not _give(worker, waiting.pop() if waiting else None):
                            workers.remove(worker)
                            worker.child.process.join()
                    yield outcome
        finally:
            for worker in workers:
                worker.child.process.terminate()
                worker.child.process.join()

    def _start(self, device: torch.device, homes: Homes, task: Task) -> _Worker:
        given = (device, self.machine.threads, homes, self.machine.runs)
        child = Child.start(_work, *given, name=device)
        child.pipe.send(task)
        return _Worker(child, device, task)


def _decide(
    tasks: Sequence[Task], machine: MachineRequest, places: Sequence[torch.device], prepare: Prepare
) -> Homes:
    """All decisions before the first run: a refusal must stop the grid, and memory is free now."""
    homes = Homes(machine.cache, places)
    for task in tasks:
        homes.of(prepare(task.data)[0], task.spec.precision)
    return homes


def _give(worker: _Worker, task: Task | None) -> bool:
    """Hand the next run to a worker, or send it home; whether it goes on working."""
    with suppress(OSError):  # a worker that died meanwhile is noticed at the next wait
        worker.child.pipe.send(task)
    if task is not None:
        worker.task = task
    return task is not None


def _work(device: torch.device, threads: int, homes: Homes, runs: Path, pipe: Connection) -> None:
    """The life of a worker: make runs until told to stop."""
    begin()
    workshop = Workshop(device, threads, homes)
    while (task := pipe.recv()) is not None:
        pipe.send(workshop.execute(task, RunDirectory.of(runs, task.spec), Reporter()))


def _killed(worker: _Worker, runs: Path) -> Outcome:
    """The failed run of a worker that died without a word."""
    sentence = (
        f"the worker process was {worker.child.ending()}; if the system ran out of "
        "memory, use fewer --jobs, then run `mil-bench retry --failed`."
    )
    spec = worker.task.spec
    with suppress(OSError):  # the outcome is reported in any case
        RunDirectory.of(runs, spec).fail_without_trace(spec.key, sentence)
    return Outcome(spec, "failed", sentence)
