"""Runs that have ended without a result, with what is needed to make them again."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from mil_bench.errors import MilBenchError
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory, Status, run_directories
from mil_bench.runs.task import Prepare, Task
from mil_bench.spec import HARNESS
from mil_bench.studies.stored import no_runs, stored_grids


@dataclass
class Unfinished:
    """Tasks from the stored plans, and run folders of which no plan is stored."""

    tasks: list[Task] = field(default_factory=list)
    unplanned: list[RunDirectory] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def unfinished(runs: Path, wanted: Set[Status]) -> Unfinished:
    """Every run under ``runs`` whose status is ``wanted``; the latest plan says how it is made.

    Raises ``DataError`` when there is no plan and no run under ``runs``.
    """
    grids, notes = stored_grids(runs)
    planned: dict[str, Task] = {}
    for grid in grids:
        for task in grid.tasks():
            planned.setdefault(task.spec.key, task)
    tasks = [
        task for task in planned.values() if RunDirectory.of(runs, task.spec).status() in wanted
    ]
    places = run_directories(runs)
    if not (planned or places):
        raise no_runs(runs)
    others = [place for place in places if place.path.name not in planned]
    return Unfinished(tasks, [place for place in others if place.status() in wanted], notes)


def still_valid(tasks: Sequence[Task], prepare: Prepare) -> tuple[list[Task], list[str]]:
    """The tasks that can be made as they were planned, and a sentence for each other one.

    With other data or code the run would be another experiment, under the key of the old one.
    """
    valid, refused = [], []
    for task in tasks:
        try:
            change = _change(task, prepare)
        except MilBenchError as error:
            change = f"cannot be made: {error}"
        if change:
            refused.append(f"{task.spec.title} {change}")
        else:
            valid.append(task)
    return valid, refused


def _change(task: Task, prepare: Prepare) -> str:
    """What is not as it was planned, or ``""``."""
    dataset, split = prepare(task.data)
    spec, again = task.spec, "; give the command of its grid again, which plans it anew."
    if (spec.harness, spec.method_version) != (HARNESS, METHODS.get(spec.method).version):
        return f"was planned with another version of mil-bench or of the method{again}"
    found = (dataset.manifest.digest(), dataset.store.digest, split.digest())
    if found != (spec.labels_digest, spec.features_digest, spec.split_digest):
        return f"was planned on other labels, features or splits than are there{again}"
    return ""
