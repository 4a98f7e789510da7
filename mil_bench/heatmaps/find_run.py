"""From the beginning of a key to a run, and from the run to its data."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from mil_bench.base.errors import RunError, UnknownNameError, UsageError
from mil_bench.base.plugins import load_plugins
from mil_bench.contract.dataset import Dataset, DatasetOptions
from mil_bench.contract.spec import RunSpec
from mil_bench.datasets import DATASETS
from mil_bench.datasets.load import load_dataset
from mil_bench.runs.directory import RunDirectory, run_directories
from mil_bench.runs.studies.stored_plans import no_runs, stored_grids
from mil_bench.runs.task import DataRequest


def find_run(runs: Path, key: str) -> RunDirectory:
    """The run under ``runs`` whose key begins with ``key``.

    Raises ``DataError`` where there are no runs, ``UnknownNameError`` when none and ``UsageError``
    when several begin so.
    """
    places = run_directories(runs)
    if not places:
        raise no_runs(runs)
    found = [place for place in places if place.path.name.startswith(key)]
    if not found:
        raise UnknownNameError(
            "run", key, [place.path.name for place in places], f"The keys are folders of {runs}."
        )
    if len(found) > 1:
        titles = [f"{place.path.name} ({place.read_spec().title})" for place in found[:3]]
        raise UsageError(
            f"{len(found)} runs begin with {key!r} ({', '.join(titles)}); type more of the key."
        )
    return found[0]


class DataOfRuns:
    """Datasets of the runs of one folder, as the plans of their grids say; each is loaded once.

    ``dataset`` and ``said`` are what the command line says and win over the plans.
    """

    def __init__(self, runs: Path, dataset: str | None, said: DatasetOptions) -> None:
        self._dataset, self._said = dataset, said
        self._planned: dict[str, DataRequest] = {}
        for grid in stored_grids(runs)[0]:
            for task in grid.tasks():
                self._planned.setdefault(task.spec.key, task.data)
        self._loaded: dict[tuple[str, DatasetOptions], Dataset] = {}

    def of(self, spec: RunSpec) -> Dataset:
        """The dataset of a run. Raises a ``MilBenchError`` when it cannot be loaded."""
        request = self._request(spec)
        load_plugins(request.plugins)
        wanted = (request.dataset, request.options)
        if wanted not in self._loaded:
            self._loaded[wanted] = load_dataset(*wanted)
        return self._loaded[wanted]

    def _request(self, spec: RunSpec) -> DataRequest:
        bare = DataRequest(spec.dataset, DatasetOptions(encoder=spec.encoder))
        planned = self._planned.get(spec.key, bare)
        name = self._dataset or planned.dataset
        if name not in DATASETS and not name.endswith(".toml"):
            raise RunError(
                f"no stored plan covers run {spec.key}; pass the file of dataset {spec.dataset} "
                "with --dataset."
            )
        names = [field.name for field in fields(DatasetOptions)]
        said = {n: value for n in names if (value := getattr(self._said, n)) not in (None, False)}
        return replace(planned, dataset=name, options=replace(planned.options, **said))
