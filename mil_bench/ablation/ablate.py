"""The two studies of ``mil-bench ablate``, each as runs to make and a report to write of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.text import Text

from mil_bench.ablation.metrics import chosen_metrics
from mil_bench.ablation.study import Planned, Study, plan_study
from mil_bench.ablation.text import notes, study_sheets, verdicts
from mil_bench.ablation.vary import Axis, VaryPlan, plan_vary
from mil_bench.ablation.vary_tables import vary_notes, vary_sheets
from mil_bench.ablation.write import write_study, write_varied
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.formats.terminal import sheet_table
from mil_bench.boards.sheet import Sheet
from mil_bench.evaluation.metrics import Score
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest
from mil_bench.runs.task import Prepare, Task


class Ablation(Protocol):
    """Runs to make, and what to tell once they lie on disk."""

    @property
    def tasks(self) -> list[Task]:
        """Every run, fold by fold so that a whole comparison is there early."""

    def report(self, runs: Path, out: Path, console: Console) -> Path:
        """Write and print the tables from the runs under ``runs``, done or not; their folder."""


def plan_ablation(
    grid: GridRequest,
    axes: Sequence[Axis],
    only: Sequence[str],
    metrics: Sequence[str],
    machine: MachineRequest,
    prepare: Prepare,
) -> Ablation:
    """A study of the declared switches of the one method of ``grid``, or a grid over ``axes``.

    ``only`` names variants, ``metrics`` scores; empty is all, or the default choice. Raises a
    ``MilBenchError`` when words, method and data do not fit together.
    """
    if axes:
        vary = plan_vary(grid, axes, machine, prepare)
        return Sensitivity(vary, _metrics(vary.default[0], metrics))
    planned = plan_study(grid, only, machine, prepare)
    return Components(planned, _metrics(planned[0].tasks[0], metrics))


@dataclass(frozen=True)
class Components:
    """Which part of a method pays?"""

    planned: Sequence[Planned]
    metrics: Sequence[Score]

    @property
    def tasks(self) -> list[Task]:
        """The runs of all variants."""
        return _fold_by_fold(task for p in self.planned for task in p.tasks)

    def report(self, runs: Path, out: Path, console: Console) -> Path:
        """See :class:`Ablation`."""
        study = Study.read(self.planned, self.metrics, runs)
        folder = write_study(study, out)
        _show(study_sheets(study, narrow=True), [*verdicts(study), *notes(study)], folder, console)
        return folder


@dataclass(frozen=True)
class Sensitivity:
    """How much do settings matter?"""

    plan: VaryPlan
    metrics: Sequence[Score]

    @property
    def tasks(self) -> list[Task]:
        """The runs of all combinations."""
        return _fold_by_fold(task for point in self.plan.points for task in point.tasks)

    def report(self, runs: Path, out: Path, console: Console) -> Path:
        """See :class:`Ablation`."""
        varied = self.plan.read(self.metrics, runs)
        folder = write_varied(varied, out)
        _show(vary_sheets(varied, narrow=True), vary_notes(varied), folder, console)
        return folder


def _metrics(task: Task, asked: Sequence[str]) -> list[Score]:
    return chosen_metrics(Taxonomy.from_dict(task.spec.tree), asked)


def _fold_by_fold(tasks: Iterable[Task]) -> list[Task]:
    return sorted(tasks, key=lambda task: (task.spec.fold, task.spec.seed))


def _show(sheets: Sequence[Sheet], lines: Sequence[str], folder: Path, console: Console) -> None:
    for sheet in sheets:
        console.print(sheet_table(sheet))
    for line in lines:
        console.print(Text(line, style="yellow"), soft_wrap=True)
    console.print(f"written under {folder}", highlight=False, soft_wrap=True, markup=False)
