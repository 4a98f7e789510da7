"""The worker processes of a search on this machine, and the trials of those that die."""

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


def run_trials(workload: Workload, report: Callable[[TrialOutcome], None], say: Say) -> None:
    """Work until every search has all its trials, of this machine or of others.

    A single device is used by this process, several get a process each. One that is killed is
    replaced and its trial returns to the queue. Raises ``StorageError`` or ``RunError`` when no
    process can continue; completed trials are kept.
    """
    storage = Storage(workload.storage)
    waited = False
    if workload.machine.existing == "retry-failed":
        _retry_failed(workload, storage)
    while (left := unfinished_trials(workload, storage)) > 0:
        devices = workload.devices[: max(1, left)]  # no more processes than trials
        if len(devices) == 1:
            work(workload, devices[0], report)
        else:
            _work_in_processes(workload, devices, storage, report, say)
        if unfinished_trials(workload, storage):
            if not waited:
                say("all trials are assigned; waiting for those of other processes")
                waited = True
            time.sleep(POLL_SECONDS)
            sweep(workload, storage)  # their processes may have died meanwhile


def unfinished_trials(workload: Workload, storage: Storage) -> int:
    """Return how many trials are not complete."""
    with storage.errors():
        studies = [open_study(storage, search, workload.trials) for search in workload.searches]
        return sum(max(0, workload.trials - finished(study)) for study in studies)


def sweep(workload: Workload, storage: Storage) -> int:
    """Requeue trials of dead processes in every study, and return their number."""
    queue = workload.queue(storage)
    with storage.errors():
        return sum(
            queue.sweep(open_study(storage, search, workload.trials))
            for search in workload.searches
        )


def _retry_failed(workload: Workload, storage: Storage) -> None:
    """Requeue trials that failed in an earlier command."""
    queue = workload.queue(storage)
    with storage.errors():
        for search in workload.searches:
            study = open_study(storage, search, workload.trials)
            for trial in last_attempts(study):
                if trial.state == TrialState.FAIL:
                    queue.give_back(study, trial)


def _give_back(workload: Workload, storage: Storage) -> None:
    """Requeue trials of workers that were ended on purpose; that is not a retry."""
    queue = workload.queue(storage)
    with storage.errors():
        for search in workload.searches:
            study = open_study(storage, search, workload.trials)
            for trial in study.get_trials(states=(TrialState.RUNNING,)):
                # Ours only: other commands may be running.
                if queue.is_dead(trial.user_attrs.get(OWNER, "")):
                    queue.give_back(study, trial)


def _work_in_processes(
    workload: Workload,
    devices: tuple[torch.device, ...],
    storage: Storage,
    report: Callable[[TrialOutcome], None],
    say: Say,
) -> None:
    useful: set[Worker] = set()  # those that came as far as a trial
    lost: set[Worker] = set()
    try:
        with WorkerPool(_live, workload) as pool:
            for device in devices:
                pool.start(device)
            for worker, event in pool.events():
                if isinstance(event, MilBenchError):
                    raise event
                if not isinstance(event, Death):
                    useful.add(worker)
                    report(event)
                elif event.exit_code:  # code 0: no trial was left
                    lost.add(worker)
                    say(f"a worker process was {event}; its trial returns to the queue")
                    if sweep(workload, storage) > 0:
                        useful.add(worker)
                    # One that died before any trial would die again, and again.
                    if worker in useful:
                        pool.start(worker.device)
    except BaseException:
        _give_back(workload, storage)  # after the pool has ended its workers
        raise
    # No worker came as far as a trial: another round would end the same way.
    if lost and lost.isdisjoint(useful) and unfinished_trials(workload, storage):
        raise RunError(
            "every worker process ended before its first trial; see the lines above. Use fewer "
            "--jobs if memory ran out, then rerun the same command to resume."
        )


def _live(device: torch.device, workload: Workload, pipe: Connection) -> None:
    try:
        work(workload, device, pipe.send)
    except MilBenchError as error:
        pipe.send(RunError(str(error)))  # errors of other packages may not survive the pipe
