"""One run to be made and the data it needs: what executors hand to processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mil_bench.bags.splits.make import make_split
from mil_bench.bags.splits.split import Split
from mil_bench.dataset import Dataset, DatasetOptions
from mil_bench.loading import load_dataset
from mil_bench.plugins import load_plugins
from mil_bench.spec import RunSpec


@dataclass(frozen=True)
class DataRequest:
    """What a process loads once for many runs. ``split`` ``None`` is the dataset's default."""

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
        dataset = load_dataset(self.dataset, self.options)
        split = make_split(self.split or dataset.card.default_split, dataset)
        split.check(dataset.manifest.groups(), allow_leaks=self.allow_leaks)
        return dataset, split


Prepare = Callable[[DataRequest], tuple[Dataset, Split]]
"""``DataRequest.prepare``, or a memory of what it gave."""


@dataclass(frozen=True)
class Task:
    """One run and the data it is made on."""

    data: DataRequest
    spec: RunSpec


def grouped_by_data(tasks: Sequence[Task]) -> list[Task]:
    """The tasks in their order, but those of one dataset together: a process keeps one open."""
    first = {data: i for i, data in enumerate(dict.fromkeys(task.data for task in tasks))}
    return sorted(tasks, key=lambda task: first[task.data])
