"""A component study: its variants, their runs, and what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mil_bench.ablation.estimate import Estimate, estimate, read_row
from mil_bench.ablation.metrics import by_level
from mil_bench.ablation.variants import Group, Variant, choose, variants_of
from mil_bench.base.config import build
from mil_bench.base.errors import UsageError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.board import BoardRow
from mil_bench.contract.method import Ablations
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.metrics import Score
from mil_bench.methods import METHODS
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest, plan
from mil_bench.runs.task import Prepare, Task


@dataclass(frozen=True)
class Planned:
    """A variant with all its runs."""

    variant: Variant
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class StudyRow:
    """A variant with what lies on disk of its runs."""

    variant: Variant
    cells: BoardRow


@dataclass(frozen=True)
class Study:
    """All rows, the full method first, and the scores to show.

    ``example`` is a run of the full method: it says which data, tree and split this is.
    """

    example: RunSpec
    declared: Ablations
    metrics: tuple[Score, ...]
    rows: tuple[StudyRow, ...]

    @property
    def method(self) -> str:
        """The method under study."""
        return self.rows[0].variant.method

    @property
    def levels(self) -> dict[str, list[Score]]:
        """Level -> the scores to show that any run has, or all where no run is done."""
        found = [m for m in self.metrics if any(self.estimate(r, m).spread.n for r in self.rows)]
        return by_level(found or self.metrics)

    def estimate(self, row: StudyRow, metric: Score) -> Estimate:
        """A score of a row and its difference to the full method."""
        return estimate(row.cells, self.rows[0].cells, metric)

    @classmethod
    def read(cls, planned: Sequence[Planned], metrics: Sequence[Score], runs: Path) -> Study:
        """Look up the runs of a plan under ``runs``."""
        rows = [
            StudyRow(
                p.variant,
                read_row(runs, p.variant.method, p.variant.name, [t.spec for t in p.tasks]),
            )
            for p in planned
        ]
        full = planned[0]
        declared = METHODS.get(full.variant.method).ablations
        return cls(full.tasks[0].spec, declared, tuple(metrics), tuple(rows))


def plan_study(
    grid: GridRequest, only: Sequence[str], machine: MachineRequest, prepare: Prepare
) -> list[Planned]:
    """The runs of every variant of the one method of ``grid``.

    Twins are trained with the trainer settings of the full method. Raises ``UsageError`` for a
    method that declares nothing, an unknown variant, a tree without the levels that a variant
    needs, and settings that already are what a variant would switch to.
    """
    (method,) = grid.methods
    dataset, _ = prepare(grid.data)
    variants = choose(variants_of(method, METHODS.get(method).ablations), only, dataset.taxonomy)
    methods = list(dict.fromkeys(variant.method for variant in variants))
    tasks = plan(replace(grid, methods=methods), machine, prepare)
    full = [task for task in tasks if task.spec.method == method]
    own = {name: [t for t in tasks if t.spec.method == name] for name in methods}
    planned = [
        Planned(
            variant,
            tuple(_changed(t, f, variant) for t, f in zip(own[variant.method], full, strict=True)),
        )
        for variant in variants
    ]
    _check_distinct(planned)
    return planned


def tree_of(planned: Sequence[Planned]) -> Taxonomy:
    """The label tree of the study."""
    return Taxonomy.from_dict(planned[0].tasks[0].spec.tree)


def _changed(task: Task, full: Task, variant: Variant) -> Task:
    """The task with the variant's overrides, or a twin's with the trainer of the full method."""
    spec = task.spec
    if variant.group is Group.TWIN:
        return replace(task, spec=spec.model_copy(update={"trainer": full.spec.trainer}))
    config = {**spec.method_config, **variant.overrides}
    made = build(METHODS.get(spec.method).Config, config, f"{variant.name} of {spec.method}")
    update = {"method_config": made.model_dump(mode="json")}
    return replace(task, spec=spec.model_copy(update=update))


def _check_distinct(planned: Sequence[Planned]) -> None:
    full = planned[0].tasks[0].spec
    for other in planned[1:]:
        if other.tasks[0].spec.key == full.key:
            changes = ", ".join(f"{k}={v}" for k, v in other.variant.overrides.items())
            raise UsageError(
                f"{other.variant.name} sets {changes}, which the full method has already here; "
                "remove it from --set or the dataset's settings, or pass other --variants."
            )
