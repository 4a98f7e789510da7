"""The processes of a search on this machine: started, listened to, replaced when they die."""

from __future__ import annotations

import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import torch
from optuna.trial import TrialState

from mil_bench.base.errors import MilBenchError, RunError
from mil_bench.runs.executors.worker_pool import Death, Worker, WorkerPool
from mil_bench.tuning.storage import OWNER, Storage
from mil_bench.tuning.study import open_study
from mil_bench.tuning.trial_queue import finished, last_attempts
from mil_bench.tuning.trial_runner import TrialOutcome, Workload, work

POLL_SECONDS = 2.0

Say = Callable[[str], None]


def run_trials(job: Workload, tell: Callable[[TrialOutcome], None], say: Say) -> None:
    """Work until every search has all its trials, made here or on other machines.

    One place works in this process, more get a process each; one that is killed is replaced and its
    trial goes back into the queue. Raises ``StorageError`` or ``RunError`` when no process can go
    on; whatever finished before is kept.
    """
    storage = Storage(job.storage)
    waited = False
    if job.machine.existing == "retry-failed":
        _retry_failed(job, storage)
    while (left := unfinished(job, storage)) > 0:
        places = job.places[: max(1, left)]
        if len(places) == 1:
            work(job, places[0], tell)
        else:
            _work_in_processes(job, places, storage, tell, say)
        if unfinished(job, storage):
            if not waited:
                say("all trials are given out; waiting for those of other processes")
                waited = True
            time.sleep(POLL_SECONDS)
            sweep(job, storage)


def unfinished(job: Workload, storage: Storage) -> int:
    """How many trials are still to be made or to end."""
    with storage.errors():
        studies = [open_study(storage, search, job.trials) for search in job.searches]
        return sum(max(0, job.trials - finished(study)) for study in studies)


def sweep(job: Workload, storage: Storage) -> int:
    """Queue again what dead processes have left in any of the studies; how many trials."""
    counter = job.counter(storage)
    with storage.errors():
        return sum(
            counter.sweep(open_study(storage, search, job.trials)) for search in job.searches
        )


def _retry_failed(job: Workload, storage: Storage) -> None:
    """Queue trials again that failed in an earlier command."""
    counter = job.counter(storage)
    with storage.errors():
        for search in job.searches:
            study = open_study(storage, search, job.trials)
            for trial in last_attempts(study):
                if trial.state == TrialState.FAIL:
                    counter.give_back(study, trial)


def _give_back(job: Workload, storage: Storage) -> None:
    """Queue again what processes finished on purpose have left; that is no retry."""
    counter = job.counter(storage)
    with storage.errors():
        for search in job.searches:
            study = open_study(storage, search, job.trials)
            for trial in study.get_trials(states=(TrialState.RUNNING,)):
                if counter.is_dead(trial.user_attrs.get(OWNER, "")):
                    counter.give_back(study, trial)


def _work_in_processes(
    job: Workload,
    places: tuple[torch.device, ...],
    storage: Storage,
    tell: Callable[[TrialOutcome], None],
    say: Say,
) -> None:
    useful: set[Worker] = set()  # those that came as far as a trial
    lost: set[Worker] = set()
    try:
        with WorkerPool(_live, job) as pool:
            for place in places:
                pool.start(place)
            for worker, event in pool.events():
                if isinstance(event, MilBenchError):
                    raise event
                if not isinstance(event, Death):
                    useful.add(worker)
                    tell(event)
                elif event.exit_code:
                    lost.add(worker)
                    say(f"a worker process was {event}; what it held goes back into the queue")
                    if sweep(job, storage) > 0:
                        useful.add(worker)
                    # One that died before any trial would die again, and again.
                    if worker in useful:
                        pool.start(worker.device)
    except BaseException:
        _give_back(job, storage)
        raise
    if lost and lost.isdisjoint(useful) and unfinished(job, storage):
        raise RunError(
            "every worker process finished before its first trial; see the lines above, use fewer "
            "--jobs if memory ran out, then give the same command again: nothing is lost."
        )


def _live(place: torch.device, job: Workload, pipe: Connection) -> None:
    try:
        work(job, place, pipe.send)
    except MilBenchError as error:
        pipe.send(RunError(str(error)))
