"""One process of a search: take a trial, execute its runs, report the result, and repeat."""

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
from mil_bench.evaluation.predictions_csv import write_predictions
from mil_bench.evaluation.scores import Scores
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.execute import FeaturePlacement, OpenDataset, Trained, result_of
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.run_worker import RunWorker
from mil_bench.runs.stored_predictions import stored_predictions
from mil_bench.runs.task import DataRequest, Prepare, Task
from mil_bench.training.progress import Reporter
from mil_bench.tuning.hidden_test import without_test
from mil_bench.tuning.search import Search
from mil_bench.tuning.space import SearchField
from mil_bench.tuning.storage import ERROR, Storage, StorageError, StorageRequest
from mil_bench.tuning.study import DEFAULT, make_sampler, open_study
from mil_bench.tuning.trial_queue import TrialQueue, finished, heartbeat, is_dead, registered

RUNS = "runs"
FOLDER = ".search"  # boards do not look into hidden folders


@dataclass(frozen=True)
class Workload:
    """The work of all processes of a command; ``devices`` has one for each of them."""

    searches: tuple[Search, ...]
    trials: int
    storage: StorageRequest
    machine: MachineRequest
    devices: tuple[torch.device, ...]

    def queue(self, storage: Storage) -> TrialQueue:
        """Return the queue of trials, which detects dead processes of this runs folder."""
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
    workload: Workload,
    device: torch.device,
    report: Callable[[TrialOutcome], None],
    prepare: Prepare = DataRequest.prepare,
) -> None:
    """Execute trials of every search until none is left to be taken.

    A failed trial is reported and stops no other. Raises ``StorageError``, and any error that
    prevents the data from being loaded. A ``KeyboardInterrupt`` returns the trial to the queue.
    """
    storage = Storage(workload.storage)  # a process has its own connection
    queue = workload.queue(storage)
    placement = FeaturePlacement(workload.machine.cache, workload.devices)
    folder = workload.machine.runs / FOLDER
    with storage.errors(), registered(folder / "workers") as owner:
        for search in workload.searches:
            study = open_study(storage, search, workload.trials)
            if finished(study) >= workload.trials:
                continue
            runner = TrialRunner(
                search, folder, device, workload.machine.threads, placement, prepare
            )
            while (trial := queue.claim(study, workload.trials, owner)) is not None:
                # A sampler per trial: resumed studies continue with the same draws.
                study.sampler = make_sampler(
                    search.rules.sampler, workload.trials, search.name, trial.number
                )
                try:
                    with heartbeat(storage, trial):
                        report(attempt(search, study, trial, runner))
                except KeyboardInterrupt:
                    queue.give_back(study, study.trials[trial.number])  # its settings stay
                    raise


def attempt(search: Search, study: Study, trial: Trial, runner: TrialRunner) -> TrialOutcome:
    """Execute the runs of a trial and record its outcome."""
    value: float | None = None
    sentence = ""
    try:
        value, state = measure(search, trial, runner), TrialState.COMPLETE
    except TrialPruned:
        state = TrialState.PRUNED
    except StorageError:
        raise  # the storage is gone: nothing can be recorded
    except MilBenchError as error:
        state, sentence = TrialState.FAIL, str(error)
        trial.set_user_attr(ERROR, sentence)
    # Another process may have swept it.
    study.tell(trial, value, state=state, skip_if_finished=True)
    return TrialOutcome(search, trial.number, state, value, sentence)


def measure(search: Search, trial: Trial, runner: TrialRunner) -> float:
    """Return the mean objective over the runs of a trial; each is reported as a step.

    Raises ``TrialPruned`` when the pruner ends the trial, and a ``MilBenchError`` when a run fails
    or settings are not compatible.
    """
    values = {field.name: suggest(trial, field) for field in search.space.fields}
    specs = search.specs(None if trial.user_attrs.get(DEFAULT) else values)
    # Before the runs: an interrupted trial names them.
    trial.set_user_attr(RUNS, [spec.key for spec in specs])
    objectives, worst = [], dict.fromkeys(search.rules.limits(), 0.0)
    for step, spec in enumerate(specs):
        measurement = runner.measure(spec)
        objectives.append(measurement.value)
        # Limits hold for every run of the trial.
        worst = {name: max(most, measurement.result[name]) for name, most in worst.items()}
        trial.report(measurement.value, step)
        # After the last run there is nothing to save.
        if step + 1 < len(specs) and trial.should_prune():
            _constrain(search, trial, worst)
            raise TrialPruned
    _constrain(search, trial, worst)
    return sum(objectives) / len(objectives)  # all runs count alike


def suggest(trial: Trial, field: SearchField) -> Any:
    """Return a value for one field, in the type of the field."""
    if field.choices:
        return trial.suggest_categorical(field.name, field.choices)
    if field.whole:
        return trial.suggest_int(field.name, int(field.low), int(field.high), log=field.log)
    return trial.suggest_float(field.name, field.low, field.high, log=field.log)


def _constrain(search: Search, trial: Trial, worst: dict[str, float]) -> None:
    """Set constraints: for Optuna a trial is feasible when none is above zero."""
    for name, most in search.rules.limits().items():
        trial.set_constraint(name, worst[name] - most)


_DAY = 86400.0  # two trials may need the same run; the second waits for it


@dataclass(frozen=True)
class Measurement:
    """One run of a trial: its validation objective, and the result that constraints read."""

    value: float
    result: dict[str, Any]


class TrialRunner:
    """A worker that holds only training and validation slides of one search.

    Its data are opened at the start: a machine without them must not take trials and fail them.
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
            # No test slide enters this process.
            lambda data: without_test(*prepare(data), search.folds),
            commit_validation,
        )
        self.worker.open(search.data)  # before the first trial is taken

    def measure(self, spec: RunSpec) -> Measurement:
        """Execute the run unless it is complete. Raises ``RunError`` when it fails."""
        directory = RunDirectory.of(self.searches, spec)
        outcome = self.worker.execute(
            # Waits for a run that another trial makes now.
            Task(self.search.data, spec, self.search.init),
            directory,
            Reporter(),
            patience=_DAY,
        )
        if outcome.status == "failed":
            raise RunError(outcome.sentence)
        val = stored_predictions(directory, Taxonomy.from_dict(spec.tree))["val"]
        objective = self.search.objective
        value = Scores.of(val).values.get(objective, float("nan"))
        if value != value:  # nan
            raise RunError(
                f"the validation {objective} of fold {spec.fold} is undefined for {spec.method}; "
                "choose another --objective, or a split whose validation sets contain every class."
            )
        return Measurement(float(value), directory.read_result())


def commit_validation(trained: Trained, opened: OpenDataset, directory: RunDirectory) -> None:
    """Commit a run of a trial: validation predictions only, and no weights."""
    write_predictions(directory.predictions, {"val": trained.val})
    directory.commit(result_of(trained, opened, test_seconds=0.0))
    directory.checkpoint.unlink(missing_ok=True)  # last: a killed process resumes from it
