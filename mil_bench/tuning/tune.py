"""``mil-bench tune``: search, refit, remember what it cost, draw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256

import optuna
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console
from rich.markup import escape

from mil_bench.base.console import print_line, print_note
from mil_bench.base.errors import RunError, UsageError, counted
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.variants import digest, settings
from mil_bench.runs.grid import run_tasks
from mil_bench.runs.machine import MachineRequest, devices
from mil_bench.runs.studies.stored_plans import store_grid
from mil_bench.runs.task import GridOutcome, Task, remembered
from mil_bench.runs.tuning_record import TuningRecord
from mil_bench.tuning.pictures import write_pictures
from mil_bench.tuning.search import Search, TuneRequest, plan_searches
from mil_bench.tuning.search_workers import run_trials
from mil_bench.tuning.storage import ERROR, Storage, StorageRequest
from mil_bench.tuning.study import DEFAULT, differences, open_study
from mil_bench.tuning.trial_queue import finished, last_attempts
from mil_bench.tuning.trial_runner import FOLDER, TrialOutcome, Workload


def run_tuning(request: TuneRequest, machine: MachineRequest, console: Console) -> GridOutcome:
    """Search every method's settings, then execute the runs of its default and of its best.

    Completed trials and runs are kept: the same command resumes the search. Raises a
    ``MilBenchError`` when the search cannot start or its storage cannot be used.
    """
    if machine.executor != "local":
        raise UsageError(
            f"tune executes trials in local processes, not with --executor {machine.executor}; "
            "start the same command on every machine with one --storage postgresql+psycopg://..."
        )
    prepare = remembered()  # every dataset is loaded once for all searches
    searches = plan_searches(request, machine, prepare)
    pool_devices = tuple(devices(machine.device, machine.jobs))
    where = StorageRequest.beside(machine.runs, request.storage)
    workload = Workload(tuple(searches), request.trials, where, machine, pool_devices)
    storage = Storage(where)
    _print_searches(workload, storage, console)
    with storage.errors():
        complete = {s.name: finished(open_study(storage, s, workload.trials)) for s in searches}

    def report(outcome: TrialOutcome) -> None:
        complete[outcome.search.name] += 1
        _print_trial(outcome, complete[outcome.search.name], workload.trials, console)

    try:
        run_trials(workload, report, lambda text: print_note(text, console))
    except KeyboardInterrupt:
        print_line("interrupted; rerun the same command to resume.", console)
        raise
    return _conclude(request, workload, storage, console)


def _conclude(
    request: TuneRequest, workload: Workload, storage: Storage, console: Console
) -> GridOutcome:
    """Draw every study, then execute the runs; a search without an outcome stops no other."""
    tasks, records, lost = [], [], []
    seeds = request.grid.seeds
    for search in workload.searches:
        study = open_study(storage, search, workload.trials)
        folder = workload.machine.runs / FOLDER / "pictures" / search.name
        try:
            best = best_trial(search, study)
        except RunError as error:  # other searches still count
            lost.append(str(error))
            continue
        print_line(_describe_best(search, best), console)
        for path in write_pictures(search, study, folder)[:1]:
            print_line(f"[dim]pictures in {escape(str(path.parent))}[/]", console)
        for specs in (default_specs(search, seeds), refit_specs(search, best, seeds)):
            tasks += tasks_of(search, specs)
        records.append(record_of(search, study, seeds))
    for sentence in lost:
        print_line(f"[red]failed[/] {escape(sentence)}", console)
    if not records:
        raise RunError("no search found any settings; the reasons are in the lines above.")
    # Records before refits: boards know what a search cost even if a refit fails.
    for record in records:
        record.save(workload.machine.runs)
    if not request.refit:
        return GridOutcome()
    # Several searches may choose the same settings.
    unique = list({task.spec.key: task for task in tasks}.values())
    title = f"{', '.join(request.grid.methods)} on {request.grid.data.dataset}: default and tuned"
    store_grid(workload.machine.runs, title, unique, workload.machine.jobs)
    outcome = run_tasks(unique, workload.machine, console)
    if lost:
        raise RunError(f"{len(lost)} of {len(workload.searches)} searches found no settings.")
    return outcome


def _print_searches(workload: Workload, storage: Storage, console: Console) -> None:
    first = workload.searches[0]
    print_line(
        f"{counted(len(workload.searches), 'search', 'searches')} of "
        f"{counted(workload.trials, 'trial')}, "
        f"{counted(len(first.starts), 'run')} a trial, {len(workload.devices)} at a time; "
        "objective: validation "
        f"{first.objective.facts.title} ({first.direction}); storage "
        f"{escape(workload.storage.shown)}",
        console,
    )
    if first.scope == "fold" and len(workload.searches) > 1:
        print_line(
            "folds that train on each other's test slides are searched separately; --shared "
            "searches them together and marks the rows",
            console,
        )
    for search in workload.searches:
        names = ", ".join(f"{name} ({text})" for name, text in search.space.describe().items())
        print_line(f"[bold]{escape(search.title)}[/]: {escape(names)}", console)
        notes = (*search.space.notes, differences(storage, search))
        for note in filter(None, notes):
            print_note(note, console)


def _print_trial(trial: TrialOutcome, number: int, total: int, console: Console) -> None:
    style = {TrialState.COMPLETE: "green", TrialState.PRUNED: "dim"}.get(trial.state, "red")
    value = "" if trial.value is None else f"{trial.search.rules.objective} {trial.value:.4f}"
    print_line(
        f"[{number:>{len(str(total))}}/{total}] [{style}]{trial.state.name.lower():<8}[/] "
        f"{escape(trial.search.title)}, trial {trial.number} · {escape(value or trial.sentence)}",
        console,
    )


def _describe_best(search: Search, best: optuna.trial.FrozenTrial) -> str:
    params = ", ".join(f"{name}={value}" for name, value in best.params.items())
    settings = "the default" if best.number == 0 else params
    return (
        f"best of {escape(search.title)}: trial {best.number} with validation "
        f"{search.rules.objective} {best.value:.4f} ({escape(settings)})"
    )


def best_trial(search: Search, study: Study) -> FrozenTrial:
    """Return the best complete trial that keeps every limit; of equal ones, the earliest.

    Raises ``RunError`` when there is none.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    # A constraint above 0 is violated.
    feasible = [t for t in done if all(value <= 0 for value in t.constraints.values())]
    if not feasible:
        errors = [t.user_attrs[ERROR] for t in last_attempts(study) if ERROR in t.user_attrs]
        why = f"the first failure: {errors[0]}" if errors else "no trial meets the limits"
        raise RunError(f"the search of {search.title} found no settings to refit ({why}).")
    sign = -1 if search.direction == "maximize" else 1
    return min(feasible, key=lambda t: (sign * _value(t), t.number))  # equal ones: the earliest


def refit_specs(search: Search, trial: FrozenTrial, seeds: Sequence[int]) -> list[RunSpec]:
    """Return runs of the settings of ``trial`` on the folds of the search."""
    values = None if trial.user_attrs.get(DEFAULT) else trial.params
    return _with_seeds(search.specs(values), seeds)


def default_specs(search: Search, seeds: Sequence[int]) -> list[RunSpec]:
    """Return runs of the default settings on the folds of the search."""
    return _with_seeds(search.starts, seeds)


def tasks_of(search: Search, specs: Sequence[RunSpec]) -> list[Task]:
    """Return the runs as tasks on the data of the search."""
    return [Task(search.data, spec, search.init) for spec in specs]


def record_of(search: Search, study: Study, seeds: Sequence[int]) -> TuningRecord:
    """Return what boards show of the search."""
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
    """Return the total time of trials, without those whose process died: their end is unknown."""
    # The end of a dead process's trial is unknown.
    timed = [t for t in trials if t.state != TrialState.FAIL or ERROR in t.user_attrs]
    return sum(t.duration.total_seconds() for t in timed if t.duration is not None) / 3600


def family(search: Search) -> str:
    """Return a hash of what searches of different folds share."""
    # Runs name folds and data.
    content = {k: v for k, v in search.describe().items() if k != "runs"}
    content["default"] = digest(settings(search.starts[0]))  # without the seeds
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]


def _value(trial: FrozenTrial) -> float:
    assert trial.value is not None
    return trial.value


def _with_seeds(specs: Sequence[RunSpec], seeds: Sequence[int]) -> list[RunSpec]:
    # One spec per fold; seeds of the refit replace those of the search.
    by_fold = {spec.fold: spec for spec in specs}
    return [spec.model_copy(update={"seed": s}) for spec in by_fold.values() for s in seeds]
