"""Worker processes of this machine: started, listened to, and ended together with their parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

SECONDS_TO_END = 5.0  # after SIGTERM; a worker that still runs is killed


@dataclass(frozen=True, eq=False)
class Worker:
    """A process of a pool, the device it uses, and this end of the pipe to it."""

    device: torch.device
    process: BaseProcess
    pipe: Connection

    def send(self, message: object) -> None:
        """Send a message; for a worker that has just died it is lost, and its death is an event."""
        with suppress(OSError):  # its death arrives as an event
            self.pipe.send(message)


@dataclass(frozen=True)
class Death:
    """How a worker has ended: ``killed by SIGKILL`` or ``ended with code 1``."""

    exit_code: int

    def __str__(self) -> str:
        if self.exit_code < 0:
            return f"killed by {signal.Signals(-self.exit_code).name}"
        return f"ended with code {self.exit_code}"


class WorkerPool(AbstractContextManager["WorkerPool"]):
    """Processes that each call ``work(device, *arguments, pipe)``.

    Used as a context: the end of the block (an error, Ctrl-C, a caller that stops) ends the workers
    too, and so does a kill of the parent. Ctrl-C reaches only the parent.
    """

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        self._work, self._arguments = work, arguments
        self._workers: list[Worker] = []

    def start(self, device: torch.device) -> Worker:
        """Start a worker on ``device``."""
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        here, there = context.Pipe()
        process = context.Process(
            target=_live,
            args=(self._work, device, self._arguments, there),
            name=f"mil-bench {device}",
        )
        process.start()
        # The worker now holds the only other end: its death closes the pipe, which `events` sees.
        there.close()
        worker = Worker(device, process, here)
        self._workers.append(worker)
        return worker

    def events(self) -> Iterator[tuple[Worker, Any]]:
        """Yield what workers send and, once for each, its :class:`Death`, until none is left.

        The caller may start workers meanwhile. A message that is sent before a death comes before
        it, because the pipe is read to its end.
        """
        while self._workers:
            ready = wait([worker.pipe for worker in self._workers])
            # A copy: the loop removes from the list.
            for worker in [worker for worker in self._workers if worker.pipe in ready]:
                try:
                    message = worker.pipe.recv()
                except (EOFError, OSError):
                    self._workers.remove(worker)
                    worker.process.join()
                    # Joined first: the exit code is known.
                    yield worker, Death(worker.process.exitcode or 0)
                else:
                    yield worker, message

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.process.terminate()  # all at once, then wait for each
        for worker in self._workers:
            worker.process.join(SECONDS_TO_END)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._workers.clear()


def _live(
    work: Callable[..., None], device: torch.device, arguments: tuple[object, ...], pipe: Connection
) -> None:
    """The life of a worker process."""
    # A terminal sends Ctrl-C to the whole process group; only the parent decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(device, *arguments, pipe)


def _end_with_parent() -> None:
    """End this process when its parent does.

    An orphan would hold the lock of its run, so that a restarted command would find it busy.
    ``os._exit``, because the main thread may be inside a long kernel that no exception reaches.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
