"""Several runs at once on this machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

import torch

from mil_bench.bags.placement import Homes
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.execute import Outcome, Workshop
from mil_bench.runs.plan import GridRequest, prepare
from mil_bench.spec import RunSpec
from mil_bench.training.progress import Reporter


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    device: torch.device
    spec: RunSpec


def run_in_processes(
    request: GridRequest,
    specs: Sequence[RunSpec],
    places: Sequence[torch.device],
    homes: Homes,
) -> Iterator[Outcome]:
    """Make ``specs`` with one worker per entry of ``places``; outcomes in order of completion.

    A worker that is killed leaves a failed run and is replaced. When the caller stops (Ctrl-C), the
    workers are ended; their runs can be continued.
    """
    waiting = list(reversed(specs))
    workers: list[_Worker] = []
    try:
        for device in places[: len(specs)]:
            workers.append(_start(request, device, homes, waiting.pop()))
        while workers:
            ready = wait([worker.pipe for worker in workers])
            for worker in [worker for worker in workers if worker.pipe in ready]:
                try:
                    outcome = worker.pipe.recv()
                except (EOFError, OSError):
                    workers.remove(worker)
                    outcome = _killed(request, worker)
                    if waiting:
                        spec = waiting.pop()
                        workers.append(_start(request, worker.device, homes, spec))
                else:
                    if not _give(worker, waiting.pop() if waiting else None):
                        workers.remove(worker)
                        worker.process.join()
                yield outcome
    finally:
        for worker in workers:
            worker.process.terminate()
            worker.process.join()


def _start(request: GridRequest, device: torch.device, homes: Homes, spec: RunSpec) -> _Worker:
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    here, there = context.Pipe()
    process = context.Process(
        target=_work, args=(request, device, homes, there), name=f"mil-bench {device}"
    )
    process.start()
    there.close()  # so that the worker's death is the end of the pipe
    here.send(spec)
    return _Worker(process, here, device, spec)


def _give(worker: _Worker, spec: RunSpec | None) -> bool:
    """Hand the next run to a worker, or send it home; whether it goes on working."""
    with suppress(OSError):  # a worker that died meanwhile is noticed at the next wait
        worker.pipe.send(spec)
    if spec is not None:
        worker.spec = spec
    return spec is not None


def _work(request: GridRequest, device: torch.device, homes: Homes, pipe: Connection) -> None:
    """The life of a worker: load the dataset once, then make runs until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
    threading.Thread(target=_die_with_parent, daemon=True).start()
    dataset, split = prepare(request)
    workshop = Workshop(dataset, split, device, request.threads, homes)
    while (spec := pipe.recv()) is not None:
        directory = RunDirectory.of(request.runs, spec)
        pipe.send(workshop.execute(spec, directory, Reporter()))


def _die_with_parent() -> None:
    """An orphan would hold its run's lock, so that a restarted command finds it busy."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _killed(request: GridRequest, worker: _Worker) -> Outcome:
    """The failed run of a worker that died without a word."""
    worker.process.join()
    code = worker.process.exitcode or 0
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
    sentence = (
        f"the worker process was {how}; if the system ran out of memory, use fewer --jobs, then "
        "run the same command with --existing retry-failed."
    )
    directory = RunDirectory.of(request.runs, worker.spec)
    with suppress(OSError):  # the outcome is reported in any case
        directory.path.mkdir(parents=True, exist_ok=True)
        directory.fail(worker.spec.key, sentence, "the process ended without a traceback\n")
    return Outcome(worker.spec, "failed", sentence)
