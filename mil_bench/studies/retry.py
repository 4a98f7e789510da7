"""Runs that have ended without a result, with what is needed to make them again."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path

from mil_bench.errors import RunError
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory, Status, run_directories
from mil_bench.runs.task import DataRequest, Prepare, Task
from mil_bench.spec import HARNESS
from mil_bench.studies.stored import stored_grids


@dataclass
class Unfinished:
    """Tasks from the stored plans, and run folders of which no plan is stored."""

    tasks: list[Task] = field(default_factory=list)
    unplanned: list[RunDirectory] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def unfinished(runs: Path, wanted: Set[Status]) -> Unfinished:
    """Every run under ``runs`` whose status is ``wanted``; the latest plan says how it is made."""
    grids, notes = stored_grids(runs)
    planned: dict[str, Task] = {}
    for grid in grids:
        for task in grid.tasks():
            planned.setdefault(task.spec.key, task)
    tasks = [
        task for task in planned.values() if RunDirectory.of(runs, task.spec).status() in wanted
    ]
    others = [place for place in run_directories(runs) if place.path.name not in planned]
    return Unfinished(tasks, [place for place in others if place.status() in wanted], notes)


def check_unchanged(tasks: Sequence[Task], prepare: Prepare) -> None:
    """Raise ``RunError`` when code or data are no longer those of the plan.

    The run would then be another experiment, under the key of the old one.
    """
    for task in tasks:
        spec = task.spec
        if (spec.harness, spec.method_version) != (HARNESS, METHODS.get(spec.method).version):
            raise _changed(task, "was planned with another version of mil-bench or of the method")
        if _digests(task.data, prepare) != (
            spec.labels_digest,
            spec.features_digest,
            spec.split_digest,
        ):
            raise _changed(task, "was planned on other labels, features or splits than are there")


def _digests(data: DataRequest, prepare: Prepare) -> tuple[str, str, str]:
    dataset, split = prepare(data)
    return dataset.manifest.digest(), dataset.store.digest, split.digest()


def _changed(task: Task, how: str) -> RunError:
    return RunError(
        f"{task.spec.title} {how}; nothing was run, give the command of that grid again, which "
        "plans it anew."
    )
