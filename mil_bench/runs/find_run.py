"""Runs by the beginning of a key or by their method, and the dataset of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Literal

from mil_bench.base.errors import RunError, UnknownNameError, UsageError
from mil_bench.base.registry import load_plugins
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.dataset import Dataset, DatasetOptions
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.variants import digest, labels, settings
from mil_bench.datasets import DATASETS
from mil_bench.datasets.load import load_dataset
from mil_bench.runs.directory import RunDirectory, run_directories
from mil_bench.runs.plan import is_default
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


@dataclass(frozen=True)
class RunChoice:
    """Which runs of ``method``: those on the dataset ``trained_on``, of these folds and seeds.

    ``None`` leaves open what all its runs agree on.
    """

    method: str
    trained_on: str | None = None
    encoder: str | None = None
    split: str | None = None
    folds: Literal["all"] | Sequence[int] = "all"
    seeds: Literal["all"] | Sequence[int] = "all"


def find_runs(runs: Path, choice: RunChoice) -> list[RunDirectory]:
    """Return the complete runs of a method on one dataset, by fold and seed.

    Of several variants it is the one with the method's default settings. Raises ``DataError`` or
    ``RunError`` where there is none, and ``UsageError`` where the choice is open. Folds and seeds
    without a complete run are an ``UnknownNameError``.
    """
    trained = _trained(runs, choice)
    specs = {d: d.read_spec() for d in trained if d.status() == "done"}
    if not specs:
        raise RunError(
            f"no run of {choice.method} under {runs} is complete; `mil-bench status --all --runs "
            f"{runs}` lists them."
        )
    specs = _only(specs, "encoder", choice.encoder, "--encoder")
    specs = _only(specs, "split", choice.split, "--split")
    if len({_data(spec) for spec in specs.values()}) > 1:
        raise UsageError(
            f"the runs of {choice.method} under {runs} used several versions of their data; choose "
            "runs with --run KEY (repeatable)."
        )
    specs = _one_variant(specs, choice.method)
    for name, asked in (("fold", choice.folds), ("seed", choice.seeds)):
        there = {getattr(spec, name) for spec in specs.values()}
        if asked != "all" and (absent := [number for number in asked if number not in there]):
            known = map(str, sorted(there))
            raise UnknownNameError(name, str(absent[0]), known, of=f"runs of {choice.method}")
        specs = {d: s for d, s in specs.items() if asked == "all" or getattr(s, name) in asked}
    if not specs:
        raise RunError(f"no run of {choice.method} has one of these folds and one of these seeds.")
    return sorted(specs, key=lambda d: (specs[d].fold, specs[d].seed))


def _trained(runs: Path, choice: RunChoice) -> list[RunDirectory]:
    """Runs of the method that were trained on one dataset, of any status."""
    directories = run_directories(runs)
    if not directories:
        raise no_runs(runs)
    of_method = [d for d in directories if d.path.parent.name == choice.method]
    if not of_method:
        names = {d.path.parent.name for d in directories}
        raise UnknownNameError("method", choice.method, names, of=f"the runs under {runs}")
    trained = [d for d in of_method if isinstance(d.read_definition(), RunSpec)]
    if not trained:
        raise RunError(
            f"the runs of {choice.method} under {runs} are predictions without a model; choose a "
            "method that was trained here."
        )
    datasets = sorted({d.path.parent.parent.name for d in trained})
    if choice.trained_on is None and len(datasets) > 1:
        raise UsageError(
            f"{choice.method} was trained on {len(datasets)} datasets ({', '.join(datasets)}); "
            "choose one with --trained-on."
        )
    name = choice.trained_on or datasets[0]
    if name not in datasets:
        raise UnknownNameError("dataset", name, datasets, of=f"runs of {choice.method}")
    return [d for d in trained if d.path.parent.parent.name == name]


def _only(
    specs: dict[RunDirectory, RunSpec], field: str, value: str | None, flag: str
) -> dict[RunDirectory, RunSpec]:
    """The runs with one value of ``field``, which must be said where there are several."""
    values = sorted({getattr(spec, field) for spec in specs.values()})
    if value is None and len(values) > 1:
        raise UsageError(
            f"the runs have {len(values)} {field}s ({', '.join(values)}); choose one with {flag}."
        )
    if value is not None and value not in values:
        raise UnknownNameError(field, value, values, of="these runs")
    return {d: spec for d, spec in specs.items() if value in (None, getattr(spec, field))}


def _data(spec: RunSpec) -> tuple[str, ...]:
    tree = Taxonomy.from_dict(spec.tree).digest()
    return (spec.kind, tree, spec.split_digest, spec.labels_digest, spec.features_digest)


def _one_variant(specs: dict[RunDirectory, RunSpec], method: str) -> dict[RunDirectory, RunSpec]:
    """The only variant, else the one with default settings."""
    texts = {d: settings(spec) for d, spec in specs.items()}
    variants = {digest(text): text for text in texts.values()}
    default = {digest(texts[d]) for d, spec in specs.items() if is_default(spec)}
    chosen = variants if len(variants) == 1 else default
    if len(chosen) != 1:
        names = [f"[{name}]" for name in labels(list(variants.values()))]
        raise UsageError(
            f"the runs of {method} are of {len(variants)} variants ({', '.join(names[:5])}), "
            f"{'none' if not default else 'several'} with default settings; choose runs with "
            "--run KEY (repeatable)."
        )
    return {d: spec for d, spec in specs.items() if digest(texts[d]) in chosen}


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
