"""One study: a method on some folds, the space around its default, and the rules of the search."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.split import Split
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.evaluation.scores import scores_by_name
from mil_bench.methods import METHODS
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.task import DataRequest, Prepare, Task
from mil_bench.tuning.hidden_test import trains_on_test
from mil_bench.tuning.search_syntax import SearchOption
from mil_bench.tuning.space import Space, known_fields, make_space

SamplerName = Literal["auto", "tpe", "gp", "random", "grid"]
PrunerName = Literal["none", "median", "wilcoxon"]
Scope = Literal["fold", "folds", "shared"]
GP_TRIALS = 100  # up to here a Gaussian process is the better sampler; see docs/tuning.md


@dataclass(frozen=True)
class SearchRules:
    """Objective, sampler, pruner and limits of a search; ``None`` means no limit."""

    objective: str = PRIMARY
    sampler: SamplerName = "auto"
    pruner: PrunerName = "none"
    max_memory_mb: float | None = None
    max_parameters: int | None = None

    def limits(self) -> dict[str, float]:
        """Return the maximum of each limited number of ``result.json``."""
        maxima = {"peak_memory_mb": self.max_memory_mb, "parameters": self.max_parameters}
        return {name: float(most) for name, most in maxima.items() if most is not None}


@dataclass(frozen=True)
class Search:
    """Everything that defines one search. Processes receive this and a storage, nothing else.

    ``starts`` are the runs of trial 0, fold by fold and seed by seed: the default configuration.
    ``scope`` is which folds' validation sets choose the settings: ``fold``: one fold, whose test
    slides stay held out. ``folds``: several folds with test sets that no fold trains on.
    ``shared``: several folds that train on each other's test slides.
    """

    data: DataRequest
    starts: tuple[RunSpec, ...]
    space: Space
    rules: SearchRules
    scope: Scope
    init: Path | None = None  # the file of initial weights, whose digest is in the runs

    @cached_property
    def objective(self) -> Score:
        """Return the score that the rules name, under the tree of the runs."""
        return scores_by_name(Taxonomy.from_dict(self.starts[0].tree))[self.rules.objective]

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        """Return ``maximize`` where higher values of the objective are better."""
        return "maximize" if self.objective.facts.better > 0 else "minimize"

    @property
    def method(self) -> str:
        """Return the name of the method."""
        return self.starts[0].method

    @property
    def folds(self) -> tuple[int, ...]:
        """Return the outer folds of the search."""
        return tuple(dict.fromkeys(spec.fold for spec in self.starts))

    @property
    def digest(self) -> str:
        """Return a hash of everything that defines the study, which the number of trials is not."""
        content = json.dumps(self.describe(), sort_keys=True)  # sorted: equal content, equal name
        return sha256(content.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        """Return the name of the study in its storage: readable, and unique by content."""
        return f"{self.subject}-{self.digest}"

    @property
    def subject(self) -> str:
        """Return the subject of the study: ``digit-bags-abmil-fold0``."""
        folds = "+".join(map(str, self.folds))
        return f"{self.starts[0].dataset}-{self.method}-fold{folds}"

    @property
    def title(self) -> str:
        """Return ``abmil on digit-bags, fold 0``, for people."""
        folds = ", ".join(map(str, self.folds))
        word = "folds" if len(self.folds) > 1 else "fold"
        return f"{self.method} on {self.starts[0].dataset}, {word} {folds}"

    def describe(self) -> dict[str, Any]:
        """Return the content of :attr:`digest`, stored with the study."""
        rules = self.rules
        return {
            "runs": [spec.key for spec in self.starts],
            "space": self.space.describe(),
            "objective": rules.objective,
            "sampler": rules.sampler,
            "pruner": rules.pruner,
            "limits": rules.limits(),
            "scope": self.scope,
        }

    def specs(self, values: Mapping[str, Any] | None) -> tuple[RunSpec, ...]:
        """Return the runs of a trial with these values; those of the default for ``None``."""
        if values is None:
            # Applied to the default run: what is not searched stays as it is there.
            return self.starts
        config = METHODS.get(self.method).Config
        return tuple(self.space.apply(spec, config, values) for spec in self.starts)


def check_objective(name: str, taxonomy: Taxonomy) -> None:
    """Raise ``UnknownNameError`` unless ``name`` is a score of all slides under ``taxonomy``."""
    scores = scores_by_name(taxonomy)
    if name not in scores:
        raise UnknownNameError("objective", name, [*scores])


DEFAULT_RULES = SearchRules()


@dataclass(frozen=True)
class TuneRequest:
    """The request of ``mil-bench tune``.

    ``grid`` has the methods, the folds, and the ``seeds`` of the refit of the best settings.
    ``search_seeds`` are those of a trial. Fields of ``grid.settings`` are fixed. With
    ``shared``, one search serves all folds even where they train on each other's test slides.
    """

    grid: GridRequest
    trials: int
    rules: SearchRules = DEFAULT_RULES
    options: tuple[SearchOption, ...] = ()
    only: tuple[str, ...] = ()
    fix: tuple[str, ...] = ()
    search_seeds: tuple[int, ...] = (0,)
    shared: bool = False
    storage: str | None = None
    refit: bool = True


def plan_searches(
    request: TuneRequest, machine: MachineRequest, prepare: Prepare = DataRequest.prepare
) -> list[Search]:
    """Return the searches of ``request``, method by method: one for folds that must not mix.

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
            f"--pruner {request.rules.pruner} acts between the runs of a trial, but a trial here "
            "is one run; add --search-seed 0,1,2 or omit the pruner."
        )
    return searches


def scopes(split: Split, folds: Sequence[int], shared: bool) -> tuple[list[tuple[int, ...]], Scope]:
    """Return groups of folds that are searched together, and the scope of their searches.

    Where a fold trains or validates on the test slides of another, a search over both would choose
    settings by test slides: each fold has its own search then, unless ``shared``.
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
    fixed = {*request.fix, *request.grid.settings}
    options = [option for option in request.options if option.name in known]
    space = make_space(
        method,
        starts[0],
        options,
        only=[name for name in request.only if name in known],
        fix=[
            name
            for name, (section, _) in known.items()
            # By any name that --set takes.
            if not fixed.isdisjoint((name, f"{section}.{name}", f"{starts[0].method}.{name}"))
            # An explicit --search wins over --fix.
            and name not in {option.name for option in options}
        ],
    )
    return Search(request.grid.data, starts, space, request.rules, scope, request.grid.init)


def _check_names(request: TuneRequest) -> None:
    """Every named field must belong to at least one of the methods."""
    known = {f for m in request.grid.methods for f in known_fields(METHODS.get(m).Config)}
    for name in (*request.only, *request.fix, *(option.name for option in request.options)):
        if name not in known:
            raise UnknownNameError("search field", name, known)
