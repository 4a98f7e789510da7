"""The life of one process of a search: take a trial, make its runs, tell the result, again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from optuna.exceptions import TrialPruned
from optuna.study import Study
from optuna.trial import Trial, TrialState

from mil_bench.errors import MilBenchError
from mil_bench.runs.homes import Homes
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.task import DataRequest, Prepare
from mil_bench.tuning.bench import Bench
from mil_bench.tuning.heart import beating
from mil_bench.tuning.owners import is_dead, registered
from mil_bench.tuning.samplers import make_sampler
from mil_bench.tuning.search import Search
from mil_bench.tuning.slots import Counter, ended
from mil_bench.tuning.space import Field
from mil_bench.tuning.storage import ERROR, Storage, StorageError, StorageRequest
from mil_bench.tuning.study import DEFAULT, open_study

RUNS = "runs"
FOLDER = ".search"  # boards do not look into hidden folders


@dataclass(frozen=True)
class Job:
    """What all processes of a command work on. ``places`` has a device for each of them."""

    searches: tuple[Search, ...]
    trials: int
    storage: StorageRequest
    machine: MachineRequest
    places: tuple[torch.device, ...]

    def counter(self, storage: Storage) -> Counter:
        """Hands out trials; knows which processes that share this runs folder have died."""
        return Counter(storage, partial(is_dead, self.machine.runs / FOLDER / "workers"))


@dataclass(frozen=True)
class Told:
    """A trial that has ended."""

    search: Search
    number: int
    state: TrialState
    value: float | None
    sentence: str


def work(
    job: Job,
    place: torch.device,
    tell: Callable[[Told], None],
    prepare: Prepare = DataRequest.prepare,
) -> None:
    """Make trials of every search until none is left to be taken.

    A failing trial is told and the others go on. Raises ``StorageError``, and any error that stops
    the data from being loaded. A ``KeyboardInterrupt`` gives the trial back.
    """
    storage = Storage(job.storage)
    counter = job.counter(storage)
    homes = Homes(job.machine.cache, job.places)
    folder = job.machine.runs / FOLDER
    with storage.errors(), registered(folder / "workers") as owner:
        for search in job.searches:
            study = open_study(storage, search, job.trials)
            if ended(study) >= job.trials:
                continue
            bench = Bench(search, folder, place, job.machine.threads, homes, prepare)
            while (trial := counter.claim(study, job.trials, owner)) is not None:
                study.sampler = make_sampler(
                    search.rules.sampler, job.trials, search.name, trial.number
                )
                try:
                    with beating(storage, trial):
                        tell(attempt(search, study, trial, bench))
                except KeyboardInterrupt:
                    counter.give_back(study, study.trials[trial.number])
                    raise


def attempt(search: Search, study: Study, trial: Trial, bench: Bench) -> Told:
    """Make the runs of a trial and write down what came of it."""
    value: float | None = None
    sentence = ""
    try:
        value, state = measure(search, trial, bench), TrialState.COMPLETE
    except TrialPruned:
        state = TrialState.PRUNED
    except StorageError:
        raise
    except MilBenchError as error:
        state, sentence = TrialState.FAIL, str(error)
        trial.set_user_attr(ERROR, sentence)
    study.tell(trial, value, state=state, skip_if_finished=True)
    return Told(search, trial.number, state, value, sentence)


def measure(search: Search, trial: Trial, bench: Bench) -> float:
    """Mean of the objective over the runs of a trial; each is reported as a step.

    Raises ``TrialPruned`` when the pruner says so, and a ``MilBenchError`` when a run fails or the
    settings do not go together.
    """
    values = {field.name: suggest(trial, field) for field in search.space.fields}
    specs = search.specs(None if trial.user_attrs.get(DEFAULT) else values)
    trial.set_user_attr(RUNS, [spec.key for spec in specs])
    found, worst = [], dict.fromkeys(search.rules.limits(), 0.0)
    for step, spec in enumerate(specs):
        made = bench.make(spec)
        found.append(made.value)
        worst = {name: max(most, made.result[name]) for name, most in worst.items()}
        trial.report(made.value, step)
        if step + 1 < len(specs) and trial.should_prune():
            _constrain(search, trial, worst)
            raise TrialPruned
    _constrain(search, trial, worst)
    return sum(found) / len(found)


def suggest(trial: Trial, field: Field) -> Any:
    """The value of one field, in its own type."""
    if field.choices:
        return trial.suggest_categorical(field.name, field.choices)
    if field.whole:
        return trial.suggest_int(field.name, int(field.low), int(field.high), log=field.log)
    return trial.suggest_float(field.name, field.low, field.high, log=field.log)


def _constrain(search: Search, trial: Trial, worst: dict[str, float]) -> None:
    """Optuna takes a trial for feasible when no constraint is above zero."""
    for name, most in search.rules.limits().items():
        trial.set_constraint(name, worst[name] - most)
