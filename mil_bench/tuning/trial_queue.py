"""The queue of trials: exactly as many as requested, however many processes work and die.

A *slot* is a trial with its retries: a chain of attempts at the same settings. Slots are counted
and assigned under the lock of the storage, so ``n`` processes never execute more than requested. A
trial whose process died returns to the queue and does not count twice.
"""

from __future__ import annotations

import fcntl
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from mil_bench.tuning.storage import OWNER, Storage, StorageError, lasting, without_optuna_warnings

ROOT = "failed_trial"  # what Optuna calls the first trial of a chain of retries

IsDead = Callable[[str], bool]


def last_attempts(study: Study) -> list[FrozenTrial]:
    """Return the last attempt of every slot, in the order of the slots."""
    last: dict[int, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        # Later attempts replace earlier ones.
        last[trial.system_attrs.get(ROOT, trial.number)] = trial
    return [last[root] for root in sorted(last)]


def finished(study: Study) -> int:
    """Return how many slots have their final outcome."""
    return sum(trial.state.is_finished() for trial in last_attempts(study))


@dataclass(frozen=True)
class TrialQueue:
    """Assigns trials to processes, on any machine that uses the storage."""

    storage: Storage
    is_dead: IsDead

    def claim(self, study: Study, trials: int, owner: str) -> Trial | None:
        """Return the next trial for ``owner``, or ``None`` when all ``trials`` slots are taken.

        Trials of processes that died come first.
        """
        with self.storage.exclusive():
            self._sweep(study)
            waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            # A waiting trial is one of the slots already.
            if not waiting and len(last_attempts(study)) >= trials:
                return None
            trial = without_optuna_warnings(study.ask)
            # In this order: a process killed in between leaves a running trial without an owner,
            # which is known not to have begun.
            self.storage.rdb.record_heartbeat(trial._trial_id)
            trial.set_user_attr(OWNER, owner)
            return trial

    def sweep(self, study: Study) -> int:
        """Return trials of dead processes to the queue, and return their number."""
        with self.storage.exclusive():
            return self._sweep(study)

    def give_back(self, study: Study, trial: FrozenTrial) -> None:
        """Return an interrupted trial to the queue; that does not count as a retry."""
        with self.storage.exclusive():
            # Keeps the chain: the same slot.
            attributes: dict[str, Any] = {ROOT: trial.number, **trial.system_attrs}
            # Another process may have finished it.
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            study.add_trial(
                create_trial(
                    state=TrialState.WAITING,
                    params=trial.params,
                    distributions=trial.distributions,
                    user_attrs=lasting(trial.user_attrs),
                    system_attrs=attributes,
                )
            )

    def _sweep(self, study: Study) -> int:
        # Two ways to detect death: no heartbeat for too long (any machine, slow), and a lock that
        # the system has released (processes of this runs folder, immediate).
        without_optuna_warnings(optuna.storages.fail_stale_trials, study)
        dead = [t for t in study.get_trials(states=(TrialState.RUNNING,)) if self._is_left(t)]
        # Failed first: a process killed in between leaves a failed slot, not two running ones.
        for trial in dead:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            self.storage.retry(study, trial)
        return len(dead)

    def _is_left(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get(OWNER)
        return owner is None or self.is_dead(owner)


@contextmanager
def registered(folder: Path) -> Iterator[str]:
    """Register this process under a new name for :func:`is_dead` while the block lasts.

    It holds a lock that the system releases however it dies; a process id could be reused.
    """
    folder.mkdir(parents=True, exist_ok=True)
    name = uuid.uuid4().hex
    path = folder / name
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f"process {os.getpid()}")
        file.flush()
        yield name  # a crash leaves the file, unlocked
        path.unlink()


def is_dead(folder: Path, name: str) -> bool:
    """Return whether the process of that name has died; for unknown names ``False``."""
    try:
        with (folder / name).open() as file:
            # Shared: two readers do not block each other.
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
        while not over.wait(storage.request.heartbeat):  # wakes at once when the trial ends
            with suppress(StorageError), storage.errors():
                storage.rdb.record_heartbeat(trial._trial_id)
        storage.rdb.remove_session()

    # Daemon: must not keep a dying process alive.
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
