"""Exactly as many trials as asked for, whoever works on the study and however often he dies.

A *slot* is a trial with its retries: one chain of attempts at the same settings. Slots are counted
and handed out under the storage's lock, so ``n`` processes can never make more than asked, and a
trial whose process died goes back into the queue instead of counting twice.
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
    """The last attempt at every slot, in the order of the last_attempts."""
    last: dict[int, FrozenTrial] = {}
    for trial in study.get_trials(deepcopy=False):
        last[trial.system_attrs.get(ROOT, trial.number)] = trial
    return [last[root] for root in sorted(last)]


def finished(study: Study) -> int:
    """How many last_attempts have their final outcome."""
    return sum(trial.state.is_finished() for trial in last_attempts(study))


@dataclass(frozen=True)
class TrialQueue:
    """The counter at which processes ask for work."""

    storage: Storage
    is_dead: IsDead

    def claim(self, study: Study, trials: int, owner: str) -> Trial | None:
        """The next trial for ``owner``, or ``None`` when all ``trials`` last_attempts are taken.

        What processes that died have left comes first.
        """
        with self.storage.exclusive():
            self._sweep(study)
            waiting = study.get_trials(deepcopy=False, states=(TrialState.WAITING,))
            if not waiting and len(last_attempts(study)) >= trials:
                return None
            trial = without_optuna_warnings(study.ask)
            # In this order: a running trial without an owner was never begun.
            self.storage.rdb.record_heartbeat(trial._trial_id)
            trial.set_user_attr(OWNER, owner)
            return trial

    def sweep(self, study: Study) -> int:
        """Put back into the queue what processes that died have left; how many trials."""
        with self.storage.exclusive():
            return self._sweep(study)

    def give_back(self, study: Study, trial: FrozenTrial) -> None:
        """Put a trial back that was interrupted on purpose; it does not count as a retry."""
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
        without_optuna_warnings(
            optuna.storages.fail_stale_trials, study
        )  # silent for too long, on any machine
        dead = [t for t in study.get_trials(states=(TrialState.RUNNING,)) if self._is_left(t)]
        for trial in dead:
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)
            self.storage.retry(study, trial)
        return len(dead)

    def _is_left(self, trial: FrozenTrial) -> bool:
        owner = trial.user_attrs.get(OWNER)
        return owner is None or self.is_dead(owner)
