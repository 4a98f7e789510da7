"""``mil-bench ablate``: the runs that an ablation requires, and the board that they make."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from mil_bench.ablation.plan import Ablation
from mil_bench.ablation.variants import plan_components
from mil_bench.ablation.vary import Axis, plan_settings
from mil_bench.boards.figures.write import write_overviews
from mil_bench.boards.formats.folder import board_folders, write_reports
from mil_bench.boards.formats.terminal import show
from mil_bench.boards.page.build import write_page
from mil_bench.boards.report import report_of
from mil_bench.runs.machine import MachineRequest
from mil_bench.runs.plan import GridRequest
from mil_bench.runs.task import Prepare

PAGE = "ablation.html"
SHOWN = ("ablation", "sensitivity")


def plan_ablation(
    grid: GridRequest,
    axes: Sequence[Axis],
    only: Sequence[str],
    metrics: Sequence[str],
    machine: MachineRequest,
    prepare: Prepare,
) -> Ablation:
    """Plan the declared components of the one method of ``grid``, or a grid over ``axes``.

    ``only`` names variants, ``metrics`` scores; empty is all, or the default choice. Raises a
    ``MilBenchError`` when names, method and data do not fit together.
    """
    if axes:
        return plan_settings(grid, axes, metrics, machine, prepare)
    return plan_components(grid, only, metrics, machine, prepare)


def write_ablation(
    ablation: Ablation, runs: Path, out: Path, console: Console, *, verbose: bool = False
) -> Path:
    """Write and print the board of the runs under ``runs``, finished or not; return its folder.

    It has the tables, formats, picture and page of every board.
    """
    report = report_of(ablation.board(runs))
    (folder,) = board_folders([report.board], out)
    write_reports([report], out, figures=True)
    write_overviews([report], out)
    write_page([report], out, folder / PAGE)
    show([report], console, SHOWN, verbose=verbose)
    console.print(f"Written under {folder}", highlight=False, soft_wrap=True, markup=False)
    return folder
