"""Which processes are alive: each holds a lock that the system frees when it dies."""

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
    """A name for this process that :func:`is_dead` knows, for as long as the block lasts."""
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
    """Whether the process of that name died. Those of other folders are not known to be."""
    try:
        with (folder / name).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, BlockingIOError):
        return False
    return True


@contextmanager
def heartbeat(storage: Storage, trial: Trial) -> Iterator[None]:
    """Record a heartbeat of ``trial`` at every interval while the block lasts.

    A database that is away for a moment skips a beat; what the trial itself writes will say so.
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
