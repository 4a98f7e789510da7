"""A run by the beginning of its key, and the dataset of a run."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

from mil_bench.base.errors import RunError, UnknownNameError, UsageError
from mil_bench.base.registry import load_plugins
from mil_bench.contract.dataset import Dataset, DatasetOptions
from mil_bench.contract.spec import RunSpec
from mil_bench.datasets import DATASETS
from mil_bench.datasets.load import load_dataset
from mil_bench.runs.directory import RunDirectory, run_directories
from mil_bench.runs.studies.stored_plans import no_runs, planned_tasks, stored_grids
from mil_bench.runs.task import DataRequest


def find_run(runs: Path, key: str) -> RunDirectory:
    """Return the run under ``runs`` whose key begins with ``key``.

    Raises ``DataError`` where there are no runs, ``UnknownNameError`` if no key begins so and
    ``UsageError`` if several do.
    """
    directories = run_directories(runs)
    if not directories:
        raise no_runs(runs)
    # Any beginning that is unique.
    matches = [d for d in directories if d.path.name.startswith(key)]
    if not matches:
        raise UnknownNameError(
            "run", key, [d.path.name for d in directories], f"The keys are folders of {runs}."
        )
    if len(matches) > 1:
        titles = [f"{d.path.name} ({d.read_definition().title})" for d in matches[:3]]
        raise UsageError(
            f"{len(matches)} runs begin with {key!r} ({', '.join(titles)}); type more of the key."
        )
    return matches[0]


class DataOfRuns:
    """Datasets of the runs of one folder, as the stored plans name them; each is loaded once.

    ``dataset`` and ``options`` come from the command line and take precedence over the plans.
    """

    def __init__(self, runs: Path, dataset: str | None, options: DatasetOptions) -> None:
        self._dataset, self._options = dataset, options
        planned = planned_tasks(stored_grids(runs)[0])  # unreadable plans are left out
        self._planned = {key: task.data for key, task in planned.items()}
        self._loaded: dict[tuple[str, DatasetOptions], Dataset] = {}

    def of(self, spec: RunSpec) -> Dataset:
        """Load the dataset of a run. Raises a ``MilBenchError`` when it cannot be loaded."""
        request = self._request(spec)
        load_plugins(request.plugins)
        source = (request.dataset, request.options)
        if source not in self._loaded:
            self._loaded[source] = load_dataset(*source)
        return self._loaded[source]

    def _request(self, spec: RunSpec) -> DataRequest:
        # A run without a plan: only its own words.
        bare = DataRequest(spec.dataset, DatasetOptions(encoder=spec.encoder))
        planned = self._planned.get(spec.key, bare)
        name = self._dataset or planned.dataset
        if name not in DATASETS and not name.endswith(".toml"):
            raise RunError(
                f"no stored plan covers run {spec.key}; pass the file of dataset {spec.dataset} "
                "with --dataset."
            )
        names = [field.name for field in fields(DatasetOptions)]
        options = {
            # What was not given leaves the plan's value.
            n: value
            for n in names
            if (value := getattr(self._options, n)) not in (None, False)
        }
        return replace(planned, dataset=name, options=replace(planned.options, **options))
