"""The life of one process of a search: take a trial, make its runs, tell the result, again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from optuna.exceptions import TrialPruned
from optuna.study import Study
from optuna.trial import Trial, TrialState

from mil_bench.base.errors import MilBenchError, RunError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.predictions_csv import read_predictions, write_predictions
from mil_bench.evaluation.scores import Scores
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.execute import Trained, result_of
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.open_dataset import FeaturePlacement, OpenDataset
from mil_bench.runs.run_worker import RunWorker
from mil_bench.runs.task import DataRequest, Prepare, Task
from mil_bench.training.progress import Reporter
from mil_bench.tuning.hidden_test import without_test
from mil_bench.tuning.liveness import heartbeat, is_dead, registered
from mil_bench.tuning.search import Search
from mil_bench.tuning.space import SearchField
from mil_bench.tuning.storage import ERROR, Storage, StorageError, StorageRequest
from mil_bench.tuning.study import DEFAULT, make_sampler, open_study
from mil_bench.tuning.trial_queue import TrialQueue, finished

RUNS = "runs"
FOLDER = ".search"  # boards do not look into hidden folders


@dataclass(frozen=True)
class Workload:
    """What all processes of a command work on. ``places`` has a device for each of them."""

    searches: tuple[Search, ...]
    trials: int
    storage: StorageRequest
    machine: MachineRequest
    places: tuple[torch.device, ...]

    def counter(self, storage: Storage) -> TrialQueue:
        """Hands out trials; knows which processes that share this runs folder have died."""
        return TrialQueue(storage, partial(is_dead, self.machine.runs / FOLDER / "workers"))


@dataclass(frozen=True)
class TrialOutcome:
    """A trial that has finished."""

    search: Search
    number: int
    state: TrialState
    value: float | None
    sentence: str


def work(
    job: Workload,
    place: torch.device,
    tell: Callable[[TrialOutcome], None],
    prepare: Prepare = DataRequest.prepare,
) -> None:
    """Make trials of every search until none is left to be taken.

    A failing trial is told and the others go on. Raises ``StorageError``, and any error that stops
    the data from being loaded. A ``KeyboardInterrupt`` gives the trial back.
    """
    storage = Storage(job.storage)
    counter = job.counter(storage)
    placement = FeaturePlacement(job.machine.cache, job.places)
    folder = job.machine.runs / FOLDER
    with storage.errors(), registered(folder / "workers") as owner:
        for search in job.searches:
            study = open_study(storage, search, job.trials)
            if finished(study) >= job.trials:
                continue
            bench = TrialRunner(search, folder, place, job.machine.threads, placement, prepare)
            while (trial := counter.claim(study, job.trials, owner)) is not None:
                study.sampler = make_sampler(
                    search.rules.sampler, job.trials, search.name, trial.number
                )
                try:
                    with heartbeat(storage, trial):
                        tell(attempt(search, study, trial, bench))
                except KeyboardInterrupt:
                    counter.give_back(study, study.trials[trial.number])
                    raise


def attempt(search: Search, study: Study, trial: Trial, bench: TrialRunner) -> TrialOutcome:
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
    return TrialOutcome(search, trial.number, state, value, sentence)


def measure(search: Search, trial: Trial, bench: TrialRunner) -> float:
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


def suggest(trial: Trial, field: SearchField) -> Any:
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


_DAY = 86400.0  # two trials may ask for the same run; the second waits for it


@dataclass(frozen=True)
class Measurement:
    """One run of a trial: the objective on its validation slides, and what constraints look at."""

    value: float
    result: dict[str, Any]


class TrialRunner:
    """A worker that holds only training and validation slides of one search.

    Its data are opened at once: a machine that lacks them must not take trials and fail them.
    """

    def __init__(
        self,
        search: Search,
        searches: Path,
        device: torch.device,
        threads: int,
        placement: FeaturePlacement,
        prepare: Prepare = DataRequest.prepare,
    ) -> None:
        self.search, self.searches = search, searches
        self.worker = RunWorker(
            device,
            threads,
            placement,
            lambda data: without_test(*prepare(data), search.folds),
            commit_validation,
        )
        self.worker.open(search.data)

    def make(self, spec: RunSpec) -> Measurement:
        """Make the run, or take what is there. Raises ``RunError`` when it fails."""
        directory = RunDirectory.of(self.searches, spec)
        outcome = self.worker.execute(
            Task(self.search.data, spec), directory, Reporter(), patience=_DAY
        )
        if outcome.status == "failed":
            raise RunError(outcome.sentence)
        val = read_predictions(directory.predictions, Taxonomy.from_dict(spec.tree))["val"]
        objective = self.search.objective
        value = Scores.of(val).values.get(objective, float("nan"))
        if value != value:
            raise RunError(
                f"the validation {objective} of fold {spec.fold} is undefined for {spec.method}; "
                "choose another --objective, or a split whose validation sets hold every class."
            )
        return Measurement(float(value), directory.read_result())


def commit_validation(trained: Trained, opened: OpenDataset, directory: RunDirectory) -> None:
    """Make a run of a trial done: validation predictions alone, and no weights."""
    write_predictions(directory.predictions, {"val": trained.val})
    directory.commit(result_of(trained, opened, test_seconds=0.0))
    directory.checkpoint.unlink(missing_ok=True)
