"""The queue of trials: exactly as many as requested, however many processes work and die.

A *slot* is a trial with its retries: a chain of attempts at the same settings. Slots are counted
and assigned under the lock of the storage, so ``n`` processes never execute more than requested. A
trial whose process died returns to the queue and does not count twice.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from mil_bench.tuning.storage import OWNER, Storage, lasting, without_optuna_warnings

ROOT = "failed_trial"  # what Optuna calls the first trial of a chain of retries

IsDead = Callable[[str], bool]


def last_attempts(study: Study) -> list[FrozenTrial]:
    """Return the last attempt of every slot, in the order of the slots."""
    last: dict[int, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
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
            attributes: dict[str, Any] = {ROOT: trial.number, **trial.system_attrs}
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
        for trial in dead:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            self.storage.retry(study, trial)
        return len(dead)

    def _is_left(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get(OWNER)
        return owner is None or self.is_dead(owner)
