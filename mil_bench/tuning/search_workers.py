"""The processes of a search on this machine: started, listened to, replaced when they die."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

import torch
from optuna.trial import TrialState

from mil_bench.base.errors import MilBenchError, RunError
from mil_bench.runs.executors.worker_pool import Child, begin
from mil_bench.tuning.storage import OWNER, Storage
from mil_bench.tuning.study import open_study
from mil_bench.tuning.trial_queue import ended, slots
from mil_bench.tuning.trial_runner import Job, Told, work

POLL_SECONDS = 2.0

Say = Callable[[str], None]


@dataclass
class _Member:
    child: Child
    place: torch.device
    useful: bool = False  # it came as far as a trial


def run_crew(job: Job, tell: Callable[[Told], None], say: Say) -> None:
    """Work until every search has all its trials, made here or on other machines.

    One place works in this process, more get a process each; one that is killed is replaced and its
    trial goes back into the queue. Raises ``StorageError`` or ``RunError`` when no process can go
    on; whatever ended before is kept.
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


def unfinished(job: Job, storage: Storage) -> int:
    """How many trials are still to be made or to end."""
    with storage.errors():
        studies = [open_study(storage, search, job.trials) for search in job.searches]
        return sum(max(0, job.trials - ended(study)) for study in studies)


def sweep(job: Job, storage: Storage) -> int:
    """Queue again what dead processes have left in any of the studies; how many trials."""
    counter = job.counter(storage)
    with storage.errors():
        return sum(
            counter.sweep(open_study(storage, search, job.trials)) for search in job.searches
        )


def _retry_failed(job: Job, storage: Storage) -> None:
    """Queue trials again that failed in an earlier command."""
    counter = job.counter(storage)
    with storage.errors():
        for search in job.searches:
            study = open_study(storage, search, job.trials)
            for trial in slots(study):
                if trial.state == TrialState.FAIL:
                    counter.give_back(study, trial)


def _give_back(job: Job, storage: Storage) -> None:
    """Queue again what processes ended on purpose have left; that is no retry."""
    counter = job.counter(storage)
    with storage.errors():
        for search in job.searches:
            study = open_study(storage, search, job.trials)
            for trial in study.get_trials(states=(TrialState.RUNNING,)):
                if counter.is_dead(trial.user_attrs.get(OWNER, "")):
                    counter.give_back(study, trial)


def _work_in_processes(
    job: Job,
    places: tuple[torch.device, ...],
    storage: Storage,
    tell: Callable[[Told], None],
    say: Say,
) -> None:
    members = [_start(job, place) for place in places]
    lost: list[_Member] = []
    try:
        while members:
            ready = wait([member.child.pipe for member in members])
            for member in [m for m in members if m.child.pipe in ready]:
                try:
                    heard = member.child.hear()
                except EOFError:
                    members.remove(member)
                    ending = member.child.ending()
                    if member.child.process.exitcode:
                        lost.append(member)
                        say(f"a worker process was {ending}; what it held goes back into the queue")
                        member.useful = sweep(job, storage) > 0 or member.useful
                        if member.useful:
                            members.append(_start(job, member.place))
                    continue
                if isinstance(heard, MilBenchError):
                    raise heard
                member.useful = True
                tell(heard)
    except BaseException:
        for member in members:
            member.child.process.kill()
            member.child.process.join()
        _give_back(job, storage)
        raise
    if lost and not any(member.useful for member in lost) and unfinished(job, storage):
        raise RunError(
            "every worker process ended before its first trial; see the lines above, use fewer "
            "--jobs if memory ran out, then give the same command again: nothing is lost."
        )


def _start(job: Job, place: torch.device) -> _Member:
    return _Member(Child.start(_live, job, place, name=place), place)


def _live(job: Job, place: torch.device, pipe: Connection) -> None:
    begin()
    try:
        work(job, place, pipe.send)
    except MilBenchError as error:
        pipe.send(RunError(str(error)))
