"""Component studies: from what a method declares to rows, their changes and their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from mil_bench.ablation.ablate import Ablation, PlannedRow, chosen_scores
from mil_bench.base.config import build
from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.board import Study
from mil_bench.contract.method import Ablations, Component, Switch
from mil_bench.methods import METHODS
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.task import Prepare, Task

FULL = "full"
_MARKS = {True: "yes", False: "no"}


class Group(StrEnum):
    """Why a variant is run; the value is its heading in tables."""

    FULL = "full method"
    LEFT_OUT = "one component left out"
    BARE = "no component"
    ADDED = "one component added to none"
    VARIANT = "variant"
    CONTROL = "control"
    TWIN = "flat twin, same training budget"


@dataclass(frozen=True)
class Variant:
    """One row of a study: ``method`` with ``overrides`` above its configuration.

    ``components`` states which components of the full method it has; ``None`` where that has no
    meaning (other forms of the method, twins). ``levels`` states that it requires a tree of two or
    more levels.
    """

    name: str
    group: Group
    title: str
    method: str
    overrides: Mapping[str, Any]
    components: Mapping[str, bool] | None = None
    levels: bool = False

    def cells(self, declared: Ablations) -> dict[str, str]:
        """Return its words in the table, by column."""
        has = self.components
        return {
            "group": str(self.group),
            "change": self.title,
            **{name: "" if has is None else _MARKS[has[name]] for name in declared.components},
            "overrides": self.changes,
        }

    @property
    def changes(self) -> str:
        """``gated=False, dropout=0.0``."""
        return ", ".join(f"{key}={value}" for key, value in self.overrides.items())


def plan_components(
    grid: GridRequest,
    only: Sequence[str],
    metrics: Sequence[str],
    machine: MachineRequest,
    prepare: Prepare,
) -> Ablation:
    """Plan the runs of every declared variant of the one method of ``grid``, the full one first.

    ``only`` names variants, empty for all. Twins get the trainer settings of the full method.
    Raises ``UsageError`` for a method without declarations, an unknown variant, a tree without the
    levels of a variant, and settings equal to a variant's.
    """
    (method,) = grid.methods
    declared = METHODS.get(method).ablations
    dataset, _ = prepare(grid.data)
    variants = choose(variants_of(method, declared), only, dataset.taxonomy)
    tasks = _tasks(grid, variants, machine, prepare)
    _check_distinct(variants, tasks)
    example = tasks[FULL][0].spec
    study = Study(
        method,
        FULL,
        tuple(declared.components),
        {variant.name: variant.cells(declared) for variant in variants},
        chosen_scores(dataset.taxonomy, metrics),
    )
    rows = tuple(PlannedRow(name, own) for name, own in tasks.items())
    return Ablation(study, rows, example)


def _tasks(
    grid: GridRequest, variants: Sequence[Variant], machine: MachineRequest, prepare: Prepare
) -> dict[str, tuple[Task, ...]]:
    """Variant -> its runs, on the seeds and folds of the full method."""
    # Each method is planned once.
    methods = list(dict.fromkeys(variant.method for variant in variants))
    planned = plan(replace(grid, methods=methods), machine, prepare)
    # Equal order in all methods: planning goes by fold, then seed.
    own = {name: [task for task in planned if task.spec.method == name] for name in methods}
    full = own[variants[0].method]
    return {
        variant.name: tuple(
            _changed(task, like, variant)
            for task, like in zip(own[variant.method], full, strict=True)
        )
        for variant in variants
    }


def _changed(task: Task, full: Task, variant: Variant) -> Task:
    """The task with the variant's overrides, or a twin's with the trainer of the full method."""
    spec = task.spec
    if variant.group is Group.TWIN:
        # The trainer of the full method: budgets are equal.
        return replace(task, spec=spec.model_copy(update={"trainer": full.spec.trainer}))
    values = {**spec.method_config, **variant.overrides}
    config = build(METHODS.get(spec.method).Config, values, f"{variant.name} of {spec.method}")
    update = {"method_config": config.model_dump(mode="json")}
    return replace(task, spec=spec.model_copy(update=update))


def _check_distinct(variants: Sequence[Variant], tasks: Mapping[str, Sequence[Task]]) -> None:
    full = tasks[FULL][0].spec
    for variant in variants[1:]:
        if tasks[variant.name][0].spec.key == full.key:  # the first fold and seed stand for all
            raise UsageError(
                f"{variant.name} sets {variant.changes}, which the full method already has here; "
                "remove that from --set or the dataset's settings, or choose other --variants."
            )


def variants_of(method: str, declared: Ablations) -> list[Variant]:
    """List all variants of a method, the full one first.

    Removing and adding can give the same set of components (a method of one component without it is
    the bare method); such a set is listed once, under its first name. Raises ``UsageError`` for a
    method that declares nothing.
    """
    if not declared:
        raise UsageError(
            f"method {method!r} declares no ablations; declare components in its class "
            "(docs/add-a-method.md), or vary its settings with --vary."
        )
    parts = declared.components
    everything = dict.fromkeys(parts, True)
    variants = [Variant(FULL, Group.FULL, "full", method, {}, everything)]
    seen = {frozenset(parts)}  # sets, so that equal variants are listed once
    for name, group, title, remaining in _sets(parts):
        if remaining not in seen:
            seen.add(remaining)
            removed = [part for key, part in parts.items() if key not in remaining]
            marks = {key: key in remaining for key in parts}
            variants.append(_variant(name, group, title, method, removed, marks))
    for name, switch in declared.variants.items():
        variants.append(_variant(name, Group.VARIANT, switch.title, method, [switch]))
    for name, switch in declared.controls.items():
        variants.append(_variant(name, Group.CONTROL, switch.title, method, [switch], everything))
    twins = {twin: f"{twin} (flat, same budget)" for twin in declared.twins}
    return variants + [Variant(twin, Group.TWIN, title, twin, {}) for twin, title in twins.items()]


def choose(variants: Sequence[Variant], only: Sequence[str], tree: Taxonomy) -> list[Variant]:
    """Return the full method and the variants that ``only`` names, or all of them.

    Raises ``UnknownNameError`` for other names, and ``UsageError`` for variants that require more
    levels than ``tree`` has.
    """
    names = {variant.name for variant in variants}
    for name in only:
        if name not in names:
            raise UnknownNameError("variant in --variants", name, names)
    chosen = [v for v in variants if not only or v.name in (FULL, *only)]
    flat = [v.name for v in chosen if v.levels and tree.depth == 1]
    if flat:
        raise UsageError(
            f"{', '.join(flat)} of method {variants[0].method!r} require a tree of two or more "
            f"levels, but tree {tree.name!r} is flat; choose another --tree, or other --variants."
        )
    return chosen


def _sets(
    parts: Mapping[str, Component],
) -> list[tuple[str, Group, str, frozenset[str]]]:
    """Name, group, title and remaining components of every set to try."""
    everything = frozenset(parts)
    left_out = [
        (f"no_{name}", Group.LEFT_OUT, f"without {part.title}", everything - _inside(parts, name))
        for name, part in parts.items()
    ]
    bare = ("bare", Group.BARE, "bare", frozenset[str]())
    added = [  # a part inside another one needs that one
        (f"only_{name}", Group.ADDED, f"only {part.title}", frozenset({name}))
        for name, part in parts.items()
        if not part.within
    ]
    return [*left_out, bare, *added]


def _inside(parts: Mapping[str, Component], name: str) -> frozenset[str]:
    """A component with the components inside it."""
    return frozenset({name, *(key for key, part in parts.items() if part.within == name)})


def _variant(
    name: str,
    group: Group,
    title: str,
    method: str,
    switches: Sequence[Switch],
    components: Mapping[str, bool] | None = None,
) -> Variant:
    overrides = {key: value for switch in switches for key, value in switch.overrides.items()}
    levels = any(switch.levels for switch in switches)
    return Variant(name, group, title, method, overrides, components, levels)
