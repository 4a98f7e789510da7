"""Worker processes of this machine: how they begin and how they have ended."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def begin() -> None:
    """The first thing a worker does: leave Ctrl-C to its parent, and end when that does.

    An orphan would hold its run, so that a restarted command finds it busy.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what it means
    threading.Thread(target=_die_with_parent, daemon=True).start()


def ending(exit_code: int | None) -> str:
    """``killed by SIGKILL`` or ``ended with code 1``."""
    code = exit_code or 0
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _die_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
