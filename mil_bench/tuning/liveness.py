"""Which processes are alive: locks on this file system, heartbeats for other machines.

A process holds a lock that the system releases however it dies; a process id could be reused.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from optuna.trial import Trial

from mil_bench.tuning.storage import Storage, StorageError


@contextmanager
def registered(folder: Path) -> Iterator[str]:
    """Register this process under a new name for :func:`is_dead` while the block lasts."""
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    path = folder / name
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield name
        path.unlink()


def is_dead(folder: Path, name: str) -> bool:
    """Return whether the process of that name has died; for unknown names ``False``."""
    try:
        with (folder / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True


@contextmanager
def heartbeat(storage: Storage, trial: Trial) -> Iterator[None]:
    """Record a heartbeat of ``trial`` at every interval while the block lasts.

    A database that is unavailable for a moment skips a heartbeat; the trial's own writes report it.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.wait(storage.request.heartbeat):
            with suppress(StorageError), storage.errors():
                storage.rdb.record_heartbeat(trial._trial_id)
        storage.rdb.remove_session()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
