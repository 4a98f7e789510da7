"""How far the runs of a grid are, read from their folders without disturbing anyone."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from mil_bench.base.errors import RunError
from mil_bench.contract.spec import RunSpec
from mil_bench.runs.directory import RunDirectory, Status
from mil_bench.training.stopping import MONITORS

PENDING: frozenset[Status] = frozenset({"absent", "interrupted"})
"""The default of ``mil-bench run``."""


@dataclass(frozen=True)
class RunState:
    """One run: its status, the epochs behind it, and of the last one the monitored value.

    ``seconds`` is the mean time of an epoch; ``reason`` says why a run has failed.
    """

    spec: RunSpec
    status: Status
    epoch: int = 0
    value: float = math.nan
    seconds: float = math.nan
    reason: str = ""

    def seconds_left(self, timings: Timings) -> float | None:
        """Until the run would be done: by its own epochs, else by finished runs, else unknown."""
        left = max(self.spec.trainer.epochs - self.epoch, 0)
        if self.epoch and self.status in ("running", "interrupted"):
            return left * self.seconds
        return timings.seconds(self.spec)


def look(runs: Path, specs: Iterable[RunSpec]) -> list[RunState]:
    """The present state of every run of ``specs`` under ``runs``."""
    return [_look(RunDirectory.of(runs, spec), spec) for spec in specs]


def _look(directory: RunDirectory, spec: RunSpec) -> RunState:
    status = directory.status()
    if status == "failed":
        return RunState(spec, status, reason=_reason(directory))
    if status in ("running", "interrupted"):
        return RunState(spec, status, *_epochs(directory.path / "train.csv", spec))
    return RunState(spec, status)


def _epochs(log: Path, spec: RunSpec) -> tuple[int, float, float]:
    """Epochs in ``train.csv``, the monitored value of the last, mean seconds of one."""
    try:
        with log.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError:  # the first epoch is not over
        return 0, math.nan, math.nan
    column, _ = MONITORS[spec.trainer.monitor]
    seconds = sum(float(row["seconds"]) for row in rows) / len(rows)
    return len(rows), float(rows[-1][f"val_{column}"] or math.nan), seconds


def _reason(directory: RunDirectory) -> str:
    try:
        return str(directory.read_failure().get("error", ""))
    except RunError as error:
        return str(error)


# How long runs will take, from those that are finished.


@dataclass(frozen=True)
class Timings:
    """Seconds per epoch that was asked for, of finished runs.

    Early stopping is thereby taken to save as much as it did. ``by_method`` is keyed by dataset and
    method, ``by_dataset`` by dataset.
    """

    by_method: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    by_dataset: dict[str, list[float]] = field(default_factory=dict)

    def seconds(self, spec: RunSpec) -> float | None:
        """What a whole run should take: the median of the same dataset and method.

        Where that method has no finished run, the median of the dataset; ``None`` without any.
        """
        known = self.by_method.get((spec.dataset, spec.method)) or self.by_dataset.get(spec.dataset)
        return median(known) * spec.trainer.epochs if known else None


def timings(runs: Path, datasets: Iterable[str]) -> Timings:
    """Read the finished runs of ``datasets`` under ``runs``; what cannot be read is left out."""
    by_method: dict[tuple[str, str], list[float]] = defaultdict(list)
    by_dataset: dict[str, list[float]] = defaultdict(list)
    for dataset in set(datasets):
        for path in (runs / dataset).glob("*/*/result.json"):
            taken = _seconds_per_epoch(path)
            if taken is not None:
                by_method[dataset, path.parent.parent.name].append(taken)
                by_dataset[dataset].append(taken)
    return Timings(dict(by_method), dict(by_dataset))


def _seconds_per_epoch(path: Path) -> float | None:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        spec = json.loads(path.with_name("spec.json").read_text(encoding="utf-8"))
        return float((result["train_seconds"] + result["test_seconds"]) / spec["trainer"]["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def in_words(seconds: float) -> str:
    """``4 s``, ``12 min``, ``3 h 20 min``, ``2 d 4 h``."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"
