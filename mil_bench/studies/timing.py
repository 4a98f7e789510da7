"""How long runs will take, from those that are finished."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from mil_bench.spec import RunSpec


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
