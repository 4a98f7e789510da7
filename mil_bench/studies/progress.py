"""How far the runs of a grid are, read from their folders without disturbing anyone."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mil_bench.errors import RunError
from mil_bench.runs.directory import RunDirectory, Status
from mil_bench.spec import RunSpec
from mil_bench.studies.timing import Timings
from mil_bench.training.stopping import MONITORS

PENDING: frozenset[Status] = frozenset({"absent", "interrupted"})
"""What ``mil-bench run`` makes when nothing else is said."""


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
