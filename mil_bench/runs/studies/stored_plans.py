"""The plan of a grid on disk, so that other terminals and later commands know what it is.

``<runs>/.plans/<digest>.json`` is written when a grid starts; the same grid has the same file. It
holds the definition of every run and what has to be loaded for it. Boards do not read it.
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
from mil_bench.base.config import StrictConfig
from mil_bench.base.errors import DataError, MilBenchError, RunError
from mil_bench.contract.spec import HARNESS, RunSpec
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory, Status, now, run_directories
from mil_bench.runs.task import Prepare, Task

if TYPE_CHECKING:
    from mil_bench.runs.task import DataRequest, Task


PLANS = ".plans"


class StoredRun(StrictConfig):
    """One run and the place of its data in :attr:`StoredGrid.data`."""

    data: int
    spec: RunSpec


class StoredGrid(StrictConfig):
    """A grid as it was planned; ``data`` are the fields of each ``DataRequest``."""

    title: str
    written: str  # ISO 8601 in UTC
    jobs: int
    data: list[dict[str, Any]]
    runs: list[StoredRun]

    @property
    def specs(self) -> list[RunSpec]:
        """The definition of every run, in the order of the grid."""
        return [run.spec for run in self.runs]

    def tasks(self) -> list[Task]:
        """The runs in the form that executors take."""
        from mil_bench.runs.task import DataRequest, Task

        data = [TypeAdapter(DataRequest).validate_python(fields) for fields in self.data]
        return [Task(data[run.data], run.spec) for run in self.runs]


def store_grid(runs: Path, title: str, tasks: Sequence[Task], jobs: int) -> None:
    """Write the plan of a grid that is about to start under ``runs``.

    Paths are made absolute and the data root of the environment is written out, so that the runs
    can be made again from elsewhere. Raises ``RunError`` when the folder cannot be written.
    """
    from mil_bench.runs.task import DataRequest

    data = list(dict.fromkeys(task.data for task in tasks))
    grid = StoredGrid(
        title=title,
        written=now(),
        jobs=jobs,
        data=[TypeAdapter(DataRequest).dump_python(_anchored(d), mode="json") for d in data],
        runs=[StoredRun(data=data.index(task.data), spec=task.spec) for task in tasks],
    )
    keys = sorted(task.spec.key for task in tasks)
    path = runs / PLANS / f"{sha256(' '.join(keys).encode()).hexdigest()[:16]}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, grid.model_dump_json())
    except OSError as error:
        raise RunError(
            f"cannot write in {runs} ({error.strerror}); choose another folder with --runs."
        ) from None


def stored_grids(runs: Path) -> tuple[list[StoredGrid], list[str]]:
    """The plans under ``runs``, latest first, and a sentence for each that cannot be read."""
    found, notes = [], []
    for path in (runs / PLANS).glob("[!.]*.json"):
        try:
            found.append(StoredGrid(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            why = "of another version" if isinstance(error, ValidationError) else "damaged"
            notes.append(
                f"the plan {path} is {why} and is ignored; the runs themselves are intact."
            )
    return sorted(found, key=lambda grid: grid.written, reverse=True), sorted(notes)


def no_runs(runs: Path) -> DataError:
    """What to raise where no plan and no run is."""
    return DataError(f"no runs in {runs}; expected the --runs folder of `mil-bench run`.")


def _anchored(data: DataRequest) -> DataRequest:
    """The same data, wherever the next command is typed."""
    from mil_bench.datasets.load import with_data_root

    options = with_data_root(data.options)
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
    """Text that is a path, if there is something there, or else a name."""
    exists = text is not None and Path(text).expanduser().exists()
    return _absolute_text(text) if text is not None and exists else text


# Runs that have ended without a result, with what is needed to make them again.


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
            change = f"cannot be rerun: {error}"
        if change:
            refused.append(f"{task.spec.title} {change}")
        else:
            valid.append(task)
    return valid, refused


def _change(task: Task, prepare: Prepare) -> str:
    """What is not as it was planned, or ``""``."""
    dataset, split = prepare(task.data)
    spec, again = task.spec, "; rerun the command of its grid, which stores a new plan."
    if (spec.harness, spec.method_version) != (HARNESS, METHODS.get(spec.method).version):
        return f"was planned with another version of mil-bench or of the method{again}"
    found = (dataset.manifest.digest(), dataset.store.digest, split.digest())
    if found != (spec.labels_digest, spec.features_digest, spec.split_digest):
        return f"was planned on other labels, features or splits{again}"
    return ""
