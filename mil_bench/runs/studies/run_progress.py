"""How far the runs of a grid are, and how long the others will take, read from their folders."""

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
from mil_bench.runs.directory import RunDirectory, RunStatus
from mil_bench.training.stopping import MONITORS

PENDING: frozenset[RunStatus] = frozenset({"absent", "interrupted"})
"""The statuses of runs that ``mil-bench run`` executes by default."""


@dataclass(frozen=True)
class RunState:
    """The state of one run: status, completed epochs, monitored value of the last epoch.

    ``seconds`` is the mean time of an epoch; ``reason`` is why a run has failed.
    """

    spec: RunSpec
    status: RunStatus
    epoch: int = 0
    value: float = math.nan
    seconds: float = math.nan
    reason: str = ""

    def seconds_left(self, timings: Timings) -> float | None:
        """Return the time left by the run's own epochs, else by complete runs, else ``None``."""
        left = max(self.spec.trainer.epochs - self.epoch, 0)
        # Its own epochs say more than other runs.
        if self.epoch and self.status in ("running", "interrupted"):
            return left * self.seconds
        return timings.seconds(self.spec)


def run_states(runs: Path, specs: Iterable[RunSpec]) -> list[RunState]:
    """Return the present state of every run of ``specs`` under ``runs``."""
    return [_run_state(RunDirectory.of(runs, spec), spec) for spec in specs]


def _run_state(directory: RunDirectory, spec: RunSpec) -> RunState:
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
    except OSError:  # the first epoch is not complete
        return 0, math.nan, math.nan
    column, _ = MONITORS[spec.trainer.monitor]
    # There are rows: the log is written after an epoch.
    seconds = sum(float(row["seconds"]) for row in rows) / len(rows)
    return len(rows), float(rows[-1][f"val_{column}"] or math.nan), seconds


def _reason(directory: RunDirectory) -> str:
    try:
        return str(directory.read_failure().get("error", ""))
    except RunError as error:
        return str(error)


@dataclass(frozen=True)
class Timings:
    """Seconds of complete runs, divided by the epochs they were set to.

    So early stopping is expected to save as much as it did. ``by_method`` is keyed by dataset and
    method, ``by_dataset`` by dataset.
    """

    by_method: dict[tuple[str, str], list[float]] = field(default_factory=dict)
    by_dataset: dict[str, list[float]] = field(default_factory=dict)

    def seconds(self, spec: RunSpec) -> float | None:
        """Return the expected time of a complete run: the median of its dataset and method.

        Where that method has no complete run, the median of the dataset; ``None`` without any.
        """
        # Of the same method first; other methods of the dataset are a rough guess.
        seconds = self.by_method.get((spec.dataset, spec.method)) or self.by_dataset.get(
            spec.dataset
        )
        return median(seconds) * spec.trainer.epochs if seconds else None


def timings(runs: Path, datasets: Iterable[str]) -> Timings:
    """Read the times of complete runs of ``datasets``; unreadable runs are left out."""
    by_method: dict[tuple[str, str], list[float]] = defaultdict(list)
    by_dataset: dict[str, list[float]] = defaultdict(list)
    for dataset in set(datasets):
        for path in (runs / dataset).glob("*/*/result.json"):
            seconds = _seconds_per_epoch(path)
            if seconds is not None:
                by_method[dataset, path.parent.parent.name].append(seconds)
                by_dataset[dataset].append(seconds)
    return Timings(dict(by_method), dict(by_dataset))


def _seconds_per_epoch(path: Path) -> float | None:
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
        spec = json.loads(path.with_name("spec.json").read_text(encoding="utf-8"))
        # Early stopping included.
        return float((result["train_seconds"] + result["test_seconds"]) / spec["trainer"]["epochs"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def in_words(seconds: float) -> str:
    """Return ``4 s``, ``12 min``, ``3 h 20 min`` or ``2 d 4 h``."""
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
