"""Ablations: planned rows with their runs, and the board that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from mil_bench.base.errors import UnknownNameError
from mil_bench.base.finding import Note
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.board import Board, BoardRow, Study
from mil_bench.boards.build import board_id
from mil_bench.boards.collect import read_record
from mil_bench.boards.figures.write import write_overviews
from mil_bench.boards.formats.folder import board_folders, write_reports
from mil_bench.boards.formats.terminal import show
from mil_bench.boards.notes import notes_of
from mil_bench.boards.page.build import write_page
from mil_bench.boards.report import report_of
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.variants import digest, settings
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.evaluation.scores import scores_by_name
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.task import Task


@dataclass(frozen=True)
class PlannedRow:
    """One variant or combination of settings: its label on the board, and all its runs."""

    label: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True)
class Ablation:
    """All rows of an ablation. ``example`` is a run of the row that others are compared with."""

    study: Study
    rows: tuple[PlannedRow, ...]
    example: RunSpec
    notes: tuple[Note, ...] = ()

    @property
    def tasks(self) -> list[Task]:
        """Every run, fold by fold so that a whole comparison is there early."""
        tasks = [task for row in self.rows for task in row.tasks]
        return sorted(tasks, key=lambda task: (task.spec.fold, task.spec.seed))

    def board(self, runs: Path) -> Board:
        """Make the board of the runs under ``runs``, finished or not, in the order of the plan."""
        rows = tuple(_read(row, runs) for row in self.rows)
        tree = Taxonomy.from_dict(self.example.tree)
        place = board_id(self.example)
        if "encoder" in self.study.varied:
            # Rows differ in the encoder, so the board has no single one.
            place = replace(place, encoder="encoders")
        return Board(place, tree, rows, (*notes_of(rows), *self.notes), study=self.study)


def chosen_scores(tree: Taxonomy, names: Sequence[str]) -> tuple[Score, ...]:
    """Return the scores called ``names``; by default balanced accuracy and AUC of leaf and top
    level.

    The top level is decided in two ways: by its own head, and by summing leaves, which every
    method can. Raises ``UnknownNameError`` for a score that this tree does not have.
    """
    scores = scores_by_name(tree)
    for name in names:
        if name not in scores:
            raise UnknownNameError("metric", name, scores, of=f"tree {tree.name!r}")
    if names:
        return tuple(dict.fromkeys(scores[name] for name in names))
    metrics = (PRIMARY, "macro_auc")
    leaf = [Score(metric) for metric in metrics]
    top = [Score(m, tree.levels[0], s) for s in ("summed", "direct") for m in metrics]
    return (*leaf, *(top if tree.depth > 1 else []))


def _read(planned: PlannedRow, runs: Path) -> BoardRow:
    specs = [task.spec for task in planned.tasks]
    paths = {(spec.seed, spec.fold): RunDirectory.of(runs, spec).path for spec in specs}
    # Runs that are not there are missing in the board.
    records = {cell: read_record(path) for cell, path in paths.items() if path.exists()}
    first = specs[0]
    return BoardRow(
        first.method,
        planned.label,
        digest(settings(first)),
        records,
        tuple(paths),
        name=planned.label,
    )


PAGE = "ablation.html"
SHOWN = ("ablation", "sensitivity")


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
