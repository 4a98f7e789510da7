"""Worker processes of this machine: how they begin, talk to their parent, and have ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any


@dataclass(frozen=True)
class Child:
    """A worker process and the pipe to it; the end of the pipe is its death."""

    process: BaseProcess
    pipe: Connection

    @classmethod
    def start(cls, work: Callable[..., None], *given: object, name: object) -> Child:
        """A new process that calls ``work(*given, pipe)``."""
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        here, there = context.Pipe()
        process = context.Process(target=work, args=(*given, there), name=f"mil-bench {name}")
        process.start()
        there.close()
        return cls(process, here)

    def hear(self) -> Any:
        """What it has sent; waits for it. Raises ``EOFError`` when it has ended."""
        try:
            return self.pipe.recv()
        except OSError:
            raise EOFError from None

    def ending(self) -> str:
        """How it ended, once it has: ``killed by SIGKILL`` or ``ended with code 1``."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def begin() -> None:
    """The first thing a worker does: leave Ctrl-C to its parent, and end when that does.

    An orphan would hold its run, so that a restarted command finds it busy.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what it means
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
