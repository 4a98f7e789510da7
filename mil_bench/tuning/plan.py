"""From what a user asks for to studies: one per method, and per fold where folds must not mix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from mil_bench.bags.splits.split import Split
from mil_bench.errors import UnknownNameError, UsageError
from mil_bench.methods import METHODS
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.task import DataRequest, Prepare, Task
from mil_bench.tuning.grammar import Asked
from mil_bench.tuning.search import Rules, Scope, Search, check_objective
from mil_bench.tuning.space import known_fields, make_space
from mil_bench.tuning.view import trains_on_test

DEFAULT_RULES = Rules()


@dataclass(frozen=True)
class TuneRequest:
    """What ``mil-bench tune`` was asked for.

    ``grid`` says which methods, on which folds, and with which ``seeds`` the best settings are
    refitted. ``search_seeds`` are those of a trial. Fields of ``grid.settings`` are fixed. With
    ``shared``, one search serves all folds even where they train on each other's test slides.
    """

    grid: GridRequest
    trials: int
    rules: Rules = DEFAULT_RULES
    asked: tuple[Asked, ...] = ()
    only: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    search_seeds: tuple[int, ...] = (0,)
    shared: bool = False
    storage: str | None = None
    refit: bool = True


def plan_searches(
    request: TuneRequest, machine: MachineRequest, prepare: Prepare = DataRequest.prepare
) -> list[Search]:
    """The studies of ``request``, method by method.

    Raises a ``MilBenchError`` before anything is run: unknown names, fields or objective, ranges
    that a field does not allow, a pruner that could never act.
    """
    tasks = plan(replace(request.grid, seeds=request.search_seeds), machine, prepare)
    dataset, split = prepare(request.grid.data)
    check_objective(request.rules.objective, dataset.taxonomy)
    _check_names(request)
    folds = list(dict.fromkeys(task.spec.fold for task in tasks))
    groups, scope = scopes(split, folds, request.shared)
    searches = [
        _search(request, scope, [t for t in tasks if t.spec.method == m and t.spec.fold in group])
        for m in dict.fromkeys(request.grid.methods)
        for group in groups
    ]
    if request.rules.pruner != "none" and len(searches[0].starts) == 1:
        raise UsageError(
            f"--pruner {request.rules.pruner} looks between the runs of a trial, but a trial here "
            "is one run; add --search-seed 0,1,2 or leave the pruner out."
        )
    return searches


def scopes(split: Split, folds: Sequence[int], shared: bool) -> tuple[list[tuple[int, ...]], Scope]:
    """Which folds are searched together.

    Where a fold trains or validates on the test slides of another, a search over both would choose
    settings by test slides: each fold gets a search of its own, unless ``shared`` asks otherwise.
    """
    crossed = trains_on_test(split, folds)
    if crossed and not shared:
        return [(fold,) for fold in folds], "fold"
    if len(folds) == 1:
        return [tuple(folds)], "fold"
    return [tuple(folds)], "shared" if crossed else "folds"


def _search(request: TuneRequest, scope: Scope, tasks: Sequence[Task]) -> Search:
    starts = tuple(task.spec for task in tasks)
    method = METHODS.get(starts[0].method)
    known = known_fields(method.Config)
    given = {*request.fix, *request.grid.settings}
    asked = [a for a in request.asked if a.name in known]
    space = make_space(
        method,
        starts[0],
        asked,
        only=[name for name in request.only if name in known],
        fix=[
            name
            for name, (section, _) in known.items()
            if not given.isdisjoint((name, f"{section}.{name}", f"{starts[0].method}.{name}"))
            and name not in {a.name for a in asked}
        ],
    )
    return Search(request.grid.data, starts, space, request.rules, scope)


def _check_names(request: TuneRequest) -> None:
    """Every named field must belong to at least one of the methods."""
    known = {f for m in request.grid.methods for f in known_fields(METHODS.get(m).Config)}
    for name in (*request.only, *request.fix, *(a.name for a in request.asked)):
        if name not in known:
            raise UnknownNameError("search field", name, known)
