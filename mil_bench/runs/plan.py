"""From a request to the list of runs it stands for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from mil_bench.bags.placement import CacheChoice
from mil_bench.bags.splits.make import make_split
from mil_bench.bags.splits.split import Split
from mil_bench.dataset import Dataset, DatasetOptions
from mil_bench.errors import UsageError
from mil_bench.loading import load_dataset
from mil_bench.methods import METHODS
from mil_bench.plugins import load_plugins
from mil_bench.runs.settings import resolve
from mil_bench.spec import RunSpec
from mil_bench.training.precision import resolve_precision

Existing = Literal["skip", "retry-failed", "overwrite"]


@dataclass(frozen=True)
class GridRequest:
    """What ``mil-bench run`` was asked for: methods x folds x seeds on one dataset.

    ``split`` ``None`` is the dataset's default. ``settings`` are the pairs of ``--set``.
    ``existing`` says what to do with runs that are there: ``skip`` keeps done and failed ones,
    ``retry-failed`` continues failed ones, ``overwrite`` moves all aside and starts again. An
    interrupted run is always continued. ``jobs`` runs are made at a time with ``threads`` CPU
    threads each: the last bits of a sum depend on that number, so it does not follow ``jobs``.
    ``cache`` says where features are kept (:mod:`mil_bench.bags.placement`).
    """

    dataset: str
    options: DatasetOptions
    methods: Sequence[str]
    split: str | None
    folds: Literal["all"] | Sequence[int]
    seeds: Sequence[int]
    settings: dict[str, str]
    runs: Path
    existing: Existing = "skip"
    jobs: int = 1
    threads: int = 1
    device: str = "auto"
    precision: str = "auto"
    cache: CacheChoice = "auto"
    allow_leaks: bool = False
    plugins: tuple[Path, ...] = ()


def plan(
    request: GridRequest, dataset: Dataset, split: Split, device: torch.device
) -> list[RunSpec]:
    """Every run of the grid, fold by fold so that a whole comparison is there early.

    ``device`` is what ``--precision auto`` looks at. Raises a ``UsageError`` or ``SplitError``
    before anything is run.
    """
    methods = {name: METHODS.get(name) for name in request.methods}
    resolved = resolve(methods, dataset.card, request.settings)
    precision = {
        name: resolve_precision(request.precision, device, method.safe_in_bf16)
        for name, method in methods.items()
    }
    folds = range(len(split)) if request.folds == "all" else request.folds
    negative = [seed for seed in request.seeds if seed < 0]
    if negative:
        raise UsageError(f"seed {negative[0]} is negative; expected whole numbers from 0.")
    for fold in folds:
        split[fold]
    return [
        RunSpec(
            dataset=dataset.name,
            kind=dataset.kind,
            labels_digest=dataset.manifest.digest(),
            tree=dataset.taxonomy.to_dict(),
            split=split.name,
            split_digest=split.digest(),
            fold=fold,
            encoder=dataset.store.encoder,
            dim=dataset.store.dim,
            features_digest=dataset.store.digest,
            standardize=dataset.standardize,
            method=method,
            method_version=methods[method].version,
            method_config=resolved[method].method.model_dump(mode="json"),
            trainer=resolved[method].trainer,
            seed=seed,
            precision=precision[method],
        )
        for fold in dict.fromkeys(folds)
        for seed in dict.fromkeys(request.seeds)
        for method in dict.fromkeys(request.methods)
    ]


def prepare(request: GridRequest) -> tuple[Dataset, Split]:
    """Load the dataset and its split, proven disjoint (or marked by ``allow_leaks``)."""
    load_plugins(request.plugins)
    dataset = load_dataset(request.dataset, request.options)
    split = make_split(request.split or dataset.card.default_split, dataset)
    split.check(dataset.manifest.groups(), allow_leaks=request.allow_leaks)
    return dataset, split
