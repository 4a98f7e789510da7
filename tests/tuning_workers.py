"""Processes that take trials from a study until there are none, or until they are killed."""

import multiprocessing
import os
import signal
from functools import partial

import optuna

from mil_bench.tuning.storage import Storage
from mil_bench.tuning.trial_queue import TrialQueue, heartbeat, is_dead, registered

FORK = multiprocessing.get_context("fork")


def counter(storage, tmp_path):
    return TrialQueue(storage, partial(is_dead, tmp_path / "workers"))


def new_study(storage):
    with storage.exclusive():
        return optuna.create_study(study_name="s", storage=storage.rdb, load_if_exists=True)


def labour(ask, folder, trials, die_at=None):
    """Take trials until there are none; die in the middle of one if told so."""
    storage = Storage(ask)
    study, give = new_study(storage), counter(storage, folder)
    with registered(folder / "workers") as owner:
        while (trial := give.claim(study, trials, owner)) is not None:
            x = trial.suggest_float("x", 0, 1)
            if trial.number == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            with heartbeat(storage, trial):
                study.tell(trial, x)


def run_all(target, arguments):
    children = [FORK.Process(target=target, args=a) for a in arguments]
    for child in children:
        child.start()
    for child in children:
        child.join()
    return [child.exitcode for child in children]
