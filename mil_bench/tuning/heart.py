"""A sign of life of a trial, for other machines to see."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from optuna.trial import Trial

from mil_bench.tuning.storage import Storage, StorageError


@contextmanager
def beating(storage: Storage, trial: Trial) -> Iterator[None]:
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
