"""One run, the data it needs, and how it ended: what executors receive and return."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch

from mil_bench.bags.splits.make import make_split
from mil_bench.base.error_location import place_of
from mil_bench.base.errors import MilBenchError
from mil_bench.base.registry import load_plugins
from mil_bench.contract.dataset import Dataset, DatasetOptions
from mil_bench.contract.spec import RunSpec
from mil_bench.contract.split import Split
from mil_bench.datasets.load import load_dataset


@dataclass(frozen=True)
class DataRequest:
    """What a process loads once for many runs; without ``split`` the dataset's default is used."""

    dataset: str
    options: DatasetOptions = field(default_factory=DatasetOptions)
    split: str | None = None
    allow_leaks: bool = False
    plugins: tuple[Path, ...] = ()

    def prepare(self) -> tuple[Dataset, Split]:
        """Load the dataset and its split, proven disjoint (or marked by ``allow_leaks``).

        Raises a ``MilBenchError`` when data are missing or the split leaks.
        """
        load_plugins(self.plugins)
        return self.with_split(load_dataset(self.dataset, self.options))

    def with_split(self, dataset: Dataset) -> tuple[Dataset, Split]:
        """Return the loaded dataset with the split of this request.

        Raises ``SplitError`` when it leaks.
        """
        split = make_split(self.split or dataset.card.default_split, dataset)
        # Leaks are refused here, before any run.
        split.check(dataset.manifest.groups(), allow_leaks=self.allow_leaks)
        return dataset, split


Prepare = Callable[[DataRequest], tuple[Dataset, Split]]
"""``DataRequest.prepare``, or a memory of what it returned."""


def remembered(in_memory: Mapping[DataRequest, Dataset] = MappingProxyType({})) -> Prepare:
    """Return a ``prepare`` that loads each dataset once; those ``in_memory`` are not loaded."""

    @cache  # by request: other options load again
    def prepare(data: DataRequest) -> tuple[Dataset, Split]:
        return data.with_split(in_memory[data]) if data in in_memory else data.prepare()

    return prepare


@dataclass(frozen=True)
class Task:
    """One run to execute, its data and, if it has one, the file of its initial weights."""

    data: DataRequest
    spec: RunSpec
    init: Path | None = None


def grouped_by_data(tasks: Sequence[Task]) -> list[Task]:
    """Return the tasks with those of one dataset together, because a process keeps one open."""
    first = {data: i for i, data in enumerate(dict.fromkeys(task.data for task in tasks))}
    # A stable sort: order within a dataset stays.
    return sorted(tasks, key=lambda task: first[task.data])


@dataclass(frozen=True)
class RunOutcome:
    """How one run ended; ``sentence`` is the best validation value, or why the run is not done."""

    spec: RunSpec
    status: Literal["done", "skipped", "failed"]
    sentence: str


@dataclass
class GridOutcome:
    """Every run of a grid by its status; ``skipped`` runs were complete before."""

    done: list[RunOutcome] = field(default_factory=list)
    skipped: list[RunOutcome] = field(default_factory=list)
    failed: list[RunOutcome] = field(default_factory=list)

    @property
    def all(self) -> list[RunOutcome]:
        """Every outcome."""
        return [*self.done, *self.skipped, *self.failed]

    def add(self, outcome: RunOutcome) -> None:
        """Append an outcome to the list of its status."""
        getattr(self, outcome.status).append(outcome)


def sentence_about(error: BaseException) -> str:
    """Return one sentence about any error; ``traceback.txt`` has the rest."""
    match error:
        case MilBenchError():
            return str(error)
        case torch.OutOfMemoryError() | MemoryError():
            return (
                "out of memory; lower batch_size, set max_instances, or use --precision bf16 "
                "or fewer --jobs."
            )
        case OSError():
            where = f" {error.filename}" if error.filename else ""
            return (
                f"cannot read or write{where} ({error.strerror or error}); free space or correct "
                "the permissions, then run `mil-bench retry --failed`."
            )
        case _:
            first = str(error).partition("\n")[0]
            where = ", ".join(filter(None, [place_of(error), "see traceback.txt"]))
            return f"{type(error).__name__}: {first} ({where})"
