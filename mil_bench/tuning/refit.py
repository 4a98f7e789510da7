"""The outcome of a study: its best settings, as ordinary runs on every fold and seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import sha256

from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from mil_bench.errors import RunError
from mil_bench.runs.task import Task
from mil_bench.spec import RunSpec
from mil_bench.tuning.record import TuningRecord
from mil_bench.tuning.search import Search
from mil_bench.tuning.slots import slots
from mil_bench.tuning.storage import ERROR
from mil_bench.tuning.study import DEFAULT
from mil_bench.variants import digest, settings


def best_trial(search: Search, study: Study) -> FrozenTrial:
    """The complete trial with the best objective that keeps every limit; of equals the earliest.

    Raises ``RunError`` when there is none.
    """
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    feasible = [t for t in done if all(value <= 0 for value in t.constraints.values())]
    if not feasible:
        errors = [t.user_attrs[ERROR] for t in slots(study) if ERROR in t.user_attrs]
        why = f"the first failure: {errors[0]}" if errors else "no trial keeps the limits"
        raise RunError(f"the search of {search.title} found no settings to refit ({why}).")
    sign = -1 if search.rules.direction == "maximize" else 1
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
    best, ended = best_trial(search, study), slots(study)
    states = [trial.state for trial in ended]
    return TuningRecord(
        dataset=search.starts[0].dataset,
        method=search.method,
        study=search.name,
        family=family(search),
        scope=search.scope,
        folds=search.folds,
        objective=search.rules.objective,
        trials=len(ended),
        failed=states.count(TrialState.FAIL),
        pruned=states.count(TrialState.PRUNED),
        hours=hours(ended),
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
