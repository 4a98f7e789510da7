"""The plan of a grid on disk, so that other terminals and later commands know what it is.

``<runs>/.plans/<digest>.json`` is written when a grid starts; the same grid has the same file. It
holds the definition of every run and what has to be loaded for it. Boards do not read it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from mil_bench.atomic import write_text
from mil_bench.config import StrictConfig
from mil_bench.errors import DataError, RunError
from mil_bench.runs.directory import now
from mil_bench.spec import RunSpec

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
        from mil_bench.runs.task import DataRequest, Task  # heavy; the status needs no data

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
            notes.append(f"the plan {path} is {why} and left out; the runs themselves are there.")
    return sorted(found, key=lambda grid: grid.written, reverse=True), sorted(notes)


def no_runs(runs: Path) -> DataError:
    """What to raise where no plan and no run is."""
    return DataError(f"no runs in {runs}; expected the --runs folder of `mil-bench run`.")


def _anchored(data: DataRequest) -> DataRequest:
    """The same data, wherever the next command is typed."""
    from mil_bench.loading import with_data_root

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
