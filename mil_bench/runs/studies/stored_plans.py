"""The stored plan of a grid, which `status` and `retry` read.

``<runs>/.plans/<digest>.json`` is written when a grid starts; the same grid has the same file. It
holds the definition of every run and what has to be loaded for it. Boards do not use it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence, Set
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from mil_bench.base.atomic import write_text
from mil_bench.base.config import StrictConfig, later
from mil_bench.base.errors import DataError, MilBenchError, RunError
from mil_bench.base.formats import PLAN, format_of
from mil_bench.contract.spec import HARNESS, RunSpec
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory, RunStatus, now, run_directories

if TYPE_CHECKING:
    from rich.console import Console

    from mil_bench.runs.machine import MachineRequest
    from mil_bench.runs.task import DataRequest, Prepare, Task

# `status` reads plans too and has to be fast, so what imports torch is imported where it is used.

PLANS = ".plans"


class StoredRun(StrictConfig):
    """One run and the index of its data in :attr:`StoredGrid.data`."""

    data: int
    spec: RunSpec
    init: Path | None = later(None)  # the file of initial weights


class StoredGrid(StrictConfig):
    """A grid as it was planned; ``data`` are the fields of each ``DataRequest``."""

    title: str
    written: str  # ISO 8601 in UTC
    jobs: int
    data: list[dict[str, Any]]
    runs: list[StoredRun]

    @property
    def specs(self) -> list[RunSpec]:
        """Return the definition of every run, in the order of the grid."""
        return [run.spec for run in self.runs]

    def tasks(self) -> list[Task]:
        """Return the runs in the form that executors take."""
        from mil_bench.runs.task import DataRequest, Task

        data = [TypeAdapter(DataRequest).validate_python(fields) for fields in self.data]
        return [Task(data[run.data], run.spec, run.init) for run in self.runs]


def store_grid(runs: Path, title: str, tasks: Sequence[Task], jobs: int) -> None:
    """Write the plan of a grid that is about to start under ``runs``.

    Paths are absolute and the data root of the environment is included, so that the runs can be
    rerun from any folder. Raises ``RunError`` when the folder cannot be written.
    """
    from mil_bench.runs.task import DataRequest

    data = list(dict.fromkeys(task.data for task in tasks))  # every dataset once
    grid = StoredGrid(
        title=title,
        written=now(),
        jobs=jobs,
        data=[TypeAdapter(DataRequest).dump_python(_anchored(d), mode="json") for d in data],
        runs=[
            StoredRun(data=data.index(task.data), spec=task.spec, init=_absolute(task.init))
            for task in tasks
        ],
    )
    keys = sorted(task.spec.key for task in tasks)
    # The same runs are the same file.
    path = runs / PLANS / f"{sha256(' '.join(keys).encode()).hexdigest()[:16]}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, grid.model_dump_json())
    except OSError as error:
        raise RunError(
            f"cannot write in {runs} ({error.strerror}); choose another folder with --runs."
        ) from None


def stored_grids(runs: Path) -> tuple[list[StoredGrid], list[str]]:
    """Return the plans under ``runs``, latest first, and a sentence for each unreadable one."""
    grids, notes = [], []
    for path in (runs / PLANS).glob("[!.]*.json"):  # not files that are being written
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            format_of(content if isinstance(content, dict) else {}, PLAN, f"the stored plan {path}")
            grids.append(StoredGrid(**content))
        except DataError as error:
            notes.append(f"{str(error).rstrip('.')}; it is left out, its runs are kept.")
        except (OSError, ValueError, TypeError) as error:
            why = "of another version" if isinstance(error, ValidationError) else "damaged"
            notes.append(f"the stored plan {path} is {why} and left out; its runs are kept.")
    return sorted(grids, key=lambda grid: grid.written, reverse=True), sorted(notes)


def planned_tasks(grids: Sequence[StoredGrid]) -> dict[str, Task]:
    """Return every planned run by key; the first of several plans that cover it defines its data.

    ``grids`` are in the order of :func:`stored_grids`, the latest first.
    """
    planned: dict[str, Task] = {}
    for grid in grids:
        for task in grid.tasks():
            planned.setdefault(task.spec.key, task)
    return planned


def no_runs(runs: Path) -> DataError:
    """Return the error for a folder without plans and runs."""
    return DataError(f"no runs in {runs}; expected the --runs folder of `mil-bench run`.")


def _anchored(data: DataRequest) -> DataRequest:
    """The same data with absolute paths, for commands in other folders."""
    from mil_bench.datasets.load import with_data_root

    options = with_data_root(data.options)  # the environment may differ at a retry
    options = replace(
        options,
        data_root=_absolute(options.data_root),
        features=_absolute(options.features),
        cache=_absolute(options.cache),
        tree=_if_file(options.tree),
        slides=_absolute(options.slides),
        weights=_absolute(options.weights),
    )
    return replace(
        data,
        dataset=_absolute_text(data.dataset) if data.dataset.endswith(".toml") else data.dataset,
        options=options,
        split=_if_file(data.split),
        plugins=tuple(plugin.resolve() for plugin in data.plugins),
    )


def _absolute(path: Path | None) -> Path | None:
    return path if path is None else path.expanduser().resolve()


def _absolute_text(text: str) -> str:
    return str(Path(text).expanduser().resolve())


def _if_file(text: str | None) -> str | None:
    """An absolute path if the text is an existing path; a name otherwise."""
    exists = text is not None and Path(text).expanduser().exists()
    return _absolute_text(text) if text is not None and exists else text


@dataclass
class Retried:
    """What ``mil-bench retry`` did: runs executed, runs that failed again, and what it refused."""

    rerun: int = 0
    failed: int = 0
    refused: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """Return whether every run could be retried and has succeeded."""
        return not (self.failed or self.refused)


def retry_runs(machine: MachineRequest, statuses: Set[RunStatus], console: Console) -> Retried:
    """Rerun every run under ``machine.runs`` with one of ``statuses``, as its grid planned it.

    This is the one way to try runs again; other commands keep failed runs. ``refused`` has a
    sentence for each run that cannot be rerun as it was planned. Raises ``DataError`` when there is
    no plan and no run.
    """
    from mil_bench.runs.grid import run_tasks
    from mil_bench.runs.task import remembered

    tasks, unplanned, notes = unfinished_runs(machine.runs, statuses)
    prepare = remembered()
    valid, refused = still_valid(tasks, prepare)
    refused += [
        f"no stored plan covers {directory.path}; rerun its original command, then `mil-bench "
        "retry --failed`."
        for directory in unplanned
    ]
    retried = Retried(len(valid), 0, refused, notes)
    if valid:
        again = replace(machine, existing="retry-failed")
        retried.failed = len(run_tasks(valid, again, console, prepare).failed)
    return retried


def unfinished_runs(
    runs: Path, statuses: Set[RunStatus]
) -> tuple[list[Task], list[RunDirectory], list[str]]:
    """Return tasks with one of ``statuses``, folders without a plan, notes on unreadable plans.

    Where several plans cover a run, the latest one defines its data.
    """
    grids, notes = stored_grids(runs)
    planned = planned_tasks(grids)
    tasks = [
        task for task in planned.values() if RunDirectory.of(runs, task.spec).status() in statuses
    ]
    directories = run_directories(runs)
    if not (planned or directories):
        raise no_runs(runs)
    unplanned = [
        directory
        for directory in directories
        if directory.path.name not in planned and directory.status() in statuses
    ]
    return tasks, unplanned, notes


def still_valid(tasks: Sequence[Task], prepare: Prepare) -> tuple[list[Task], list[str]]:
    """Return the tasks that can run as they were planned, and a sentence for each other one.

    With other data or code the run would be another experiment under the key of the old one.
    """
    valid, refused = [], []
    for task in tasks:
        try:
            change = _change(task, prepare)
        except MilBenchError as error:
            change = f"cannot run: {error}"  # data that are missing now
        if change:
            refused.append(f"{task.spec.title} {change}")
        else:
            valid.append(task)
    return valid, refused


def _change(task: Task, prepare: Prepare) -> str:
    """Return what differs from the plan, or ``""``."""
    dataset, split = prepare(task.data)
    spec, rerun = task.spec, "; rerun the command of its grid, which plans it again."
    if (spec.harness, spec.method_version) != (HARNESS, METHODS.get(spec.method).version):
        return f"was planned with another version of mil-bench or of the method{rerun}"
    present = (dataset.manifest.digest(), dataset.store.digest, split.digest())
    if present != (spec.labels_digest, spec.features_digest, spec.split_digest):
        return f"was planned with other labels, features or splits{rerun}"
    return ""
