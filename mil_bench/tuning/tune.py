"""``mil-bench tune``: search, refit, remember what it cost, draw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from hashlib import sha256

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.markup import escape

from mil_bench.base.console import print_line, print_note
from mil_bench.base.errors import RunError, UsageError
from mil_bench.base.plural import counted
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.variants import digest, settings
from mil_bench.runs.grid import run_tasks
from mil_bench.runs.machine import MachineRequest, devices
from mil_bench.runs.studies.stored_plans import store_grid
from mil_bench.runs.task import DataRequest, GridOutcome, Task
from mil_bench.runs.tuning_record import TuningRecord
from mil_bench.tuning.pictures import write_pictures
from mil_bench.tuning.search import Search, TuneRequest, plan_searches
from mil_bench.tuning.search_workers import run_trials
from mil_bench.tuning.storage import ERROR, Storage, StorageRequest
from mil_bench.tuning.study import DEFAULT, differences, open_study
from mil_bench.tuning.trial_queue import finished, last_attempts
from mil_bench.tuning.trial_runner import FOLDER, TrialOutcome, Workload


def run_tuning(request: TuneRequest, machine: MachineRequest, console: Console) -> GridOutcome:
    """Search every method's settings, then make the runs of its default and of its best.

    Everything that finished before is kept: the same command goes on where it stopped. Raises a
    ``MilBenchError`` when the search cannot start or its storage cannot be used.
    """
    if machine.executor != "local":
        raise UsageError(
            f"trials are made by processes of this machine, not by --executor {machine.executor}; "
            "start the same command on every machine with one --storage postgresql+psycopg://..."
        )
    prepare = cache(DataRequest.prepare)
    searches = plan_searches(request, machine, prepare)
    places = devices(machine.device, machine.jobs)
    where = StorageRequest.beside(machine.runs, request.storage)
    job = Workload(tuple(searches), request.trials, where, machine, tuple(places))
    storage = Storage(where)
    _announce(job, storage, console)
    with storage.errors():
        before = {s.name: finished(open_study(storage, s, job.trials)) for s in searches}

    def tell(told: TrialOutcome) -> None:
        before[told.search.name] += 1
        _tell(told, before[told.search.name], job.trials, console)

    try:
        run_trials(job, tell, lambda text: print_note(text, console))
    except KeyboardInterrupt:
        print_line("interrupted; the same command goes on where it stopped.", console)
        raise
    return _conclude(request, job, storage, console)


def _conclude(
    request: TuneRequest, job: Workload, storage: Storage, console: Console
) -> GridOutcome:
    """Pictures of every study, then the runs; a search without any outcome stops no other."""
    tasks, records, lost = [], [], []
    seeds = request.grid.seeds
    for search in job.searches:
        study = open_study(storage, search, job.trials)
        folder = job.machine.runs / FOLDER / "pictures" / search.name
        try:
            best = best_trial(search, study)
        except RunError as error:
            lost.append(str(error))
            continue
        print_line(_best(search, best), console)
        for path in write_pictures(search, study, folder)[:1]:
            print_line(f"[dim]pictures in {escape(str(path.parent))}[/]", console)
        for specs in (default_specs(search, seeds), refit_specs(search, best, seeds)):
            tasks += tasks_of(search, specs)
        records.append(record_of(search, study, seeds))
    for sentence in lost:
        print_line(f"[red]failed[/] {escape(sentence)}", console)
    if not records:
        raise RunError("no search found any settings; the lines above say why.")
    for record in records:
        record.save(job.machine.runs)
    if not request.refit:
        return GridOutcome()
    unique = list({task.spec.key: task for task in tasks}.values())
    title = f"{', '.join(request.grid.methods)} on {request.grid.data.dataset}: default and tuned"
    store_grid(job.machine.runs, title, unique, job.machine.jobs)
    outcome = run_tasks(unique, job.machine, console)
    if lost:
        raise RunError(f"{len(lost)} of {len(job.searches)} searches found no settings.")
    return outcome


def _announce(job: Workload, storage: Storage, console: Console) -> None:
    first = job.searches[0]
    print_line(
        f"{counted(len(job.searches), 'search', 'searches')} of {counted(job.trials, 'trial')}, "
        f"{counted(len(first.starts), 'run')} a trial, {len(job.places)} at a time; "
        "objective: validation "
        f"{first.objective.facts.title} ({first.direction}); storage "
        f"{escape(job.storage.shown)}",
        console,
    )
    if first.scope == "fold" and len(job.searches) > 1:
        print_line(
            "folds that train on each other's test slides are searched one by one; --shared "
            "searches them together and marks the rows",
            console,
        )
    for search in job.searches:
        names = ", ".join(f"{name} ({text})" for name, text in search.space.describe().items())
        print_line(f"[bold]{escape(search.title)}[/]: {escape(names)}", console)
        told = (*search.space.notes, differences(storage, search))
        for note in filter(None, told):
            print_note(note, console)


def _tell(told: TrialOutcome, number: int, total: int, console: Console) -> None:
    style = {TrialState.COMPLETE: "green", TrialState.PRUNED: "dim"}.get(told.state, "red")
    words = (
        told.sentence if told.value is None else f"{told.search.rules.objective} {told.value:.4f}"
    )
    print_line(
        f"[{number:>{len(str(total))}}/{total}] [{style}]{told.state.name.lower():<8}[/] "
        f"{escape(told.search.title)}, trial {told.number} · {escape(words)}",
        console,
    )


def _best(search: Search, best: optuna.trial.FrozenTrial) -> str:
    given = ", ".join(f"{name}={value}" for name, value in best.params.items())
    what = "the default" if best.number == 0 else given
    return (
        f"best of {escape(search.title)}: trial {best.number} with validation "
        f"{search.rules.objective} {best.value:.4f} ({escape(what)})"
    )


def best_trial(search: Search, study: Study) -> FrozenTrial:
    """The complete trial with the best objective that keeps every limit; of equals the earliest.

    Raises ``RunError`` when there is none.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    feasible = [t for t in done if all(value <= 0 for value in t.constraints.values())]
    if not feasible:
        errors = [t.user_attrs[ERROR] for t in last_attempts(study) if ERROR in t.user_attrs]
        why = f"the first failure: {errors[0]}" if errors else "no trial keeps the limits"
        raise RunError(f"the search of {search.title} found no settings to refit ({why}).")
    sign = -1 if search.direction == "maximize" else 1
    return min(feasible, key=lambda t: (sign * _value(t), t.number))


def refit_specs(search: Search, trial: FrozenTrial, seeds: Sequence[int]) -> list[RunSpec]:
    """Runs of ``trial``'s settings on the study's folds."""
    values = None if trial.user_attrs.get(DEFAULT) else trial.params
    return _with_seeds(search.specs(values), seeds)


def default_specs(search: Search, seeds: Sequence[int]) -> list[RunSpec]:
    """Runs of the default settings on the study's folds."""
    return _with_seeds(search.starts, seeds)


def tasks_of(search: Search, specs: Sequence[RunSpec]) -> list[Task]:
    """The runs as tasks on the search's data."""
    return [Task(search.data, spec) for spec in specs]


def record_of(search: Search, study: Study, seeds: Sequence[int]) -> TuningRecord:
    """What boards show of the search."""
    best, finished = best_trial(search, study), last_attempts(study)
    states = [trial.state for trial in finished]
    return TuningRecord(
        dataset=search.starts[0].dataset,
        method=search.method,
        study=search.name,
        family=family(search),
        scope=search.scope,
        folds=search.folds,
        objective=search.rules.objective,
        trials=len(finished),
        failed=states.count(TrialState.FAIL),
        pruned=states.count(TrialState.PRUNED),
        hours=hours(finished),
        best={} if best.user_attrs.get(DEFAULT) else best.params,
        default=tuple(spec.key for spec in default_specs(search, seeds)),
        tuned=tuple(spec.key for spec in refit_specs(search, best, seeds)),
    )


def hours(trials: Sequence[FrozenTrial]) -> float:
    """Time of all trials together; one whose process died is not counted, nobody knows when."""
    told = [t for t in trials if t.state != TrialState.FAIL or ERROR in t.user_attrs]
    return sum(t.duration.total_seconds() for t in told if t.duration is not None) / 3600


def family(search: Search) -> str:
    """Hash of what studies of different folds share."""
    content = {k: v for k, v in search.describe().items() if k != "runs"}
    content["default"] = digest(settings(search.starts[0]))
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _with_seeds(specs: Sequence[RunSpec], seeds: Sequence[int]) -> list[RunSpec]:
    by_fold = {spec.fold: spec for spec in specs}
    return [spec.model_copy(update={"seed": s}) for spec in by_fold.values() for s in seeds]
