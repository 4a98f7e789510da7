"""The work place of one contestant, inside its own process."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Literal

import torch

from benchmarks.contestants import Entry, contestant_class, make
from benchmarks.equality import Difference, difference
from benchmarks.memory import used_mb
from benchmarks.workloads import make_cohort
from mil_bench.evaluation.scores import leaf_scores
from mil_bench.runs.environment import peak_memory_mb

Mode = Literal["train", "inference"]
CPU = torch.device("cpu")
SCORES = ("balanced_accuracy", "macro_auc")


@dataclass(frozen=True)
class Lap:
    """One epoch: its time, and the peak of memory above the data (model and optimiser count)."""

    seconds: float
    peak_mb: float


class Station:
    """Data and contestant of ``entry`` in a process with ``threads`` threads."""

    def __init__(self, entry: Entry, threads: int) -> None:
        torch.set_num_threads(threads)
        cls = contestant_class(entry.contestant)
        cls.prepare()
        self.entry = entry
        warm_up(entry)
        self.cohort = make_cohort(entry.workload, entry.seed)
        self.contestant = cls(entry, self.cohort)
        self.data_mb = used_mb(CPU)
        self.contestant.build()

    def sizes(self) -> list[int]:
        """Return instances of every training bag."""
        return [self.cohort.store.rows[slide][1] for slide in self.cohort.train]

    def lap(self, mode: Mode, number: int) -> Lap:
        """Train epoch ``number + 1``, or predict the training bags."""
        used_mb(CPU)
        start = time.perf_counter()
        if mode == "train":
            self.contestant.train(number + 1)
        else:
            self.contestant.predict(self.cohort.train)
        seconds = time.perf_counter() - start
        return Lap(seconds, peak_memory_mb(CPU) - self.data_mb)

    def quality(self, epochs: int) -> dict[str, float]:
        """Return scores on held-out bags of a fresh model after ``epochs`` epochs."""
        cohort = make_cohort(self.entry.workload, self.entry.seed, held_out=True)
        contestant = make(self.entry, cohort)
        for epoch in range(1, epochs + 1):
            contestant.train(epoch)
        scores = leaf_scores(contestant.predict(cohort.held_out))
        return {"epochs": epochs, **{name: float(scores[name]) for name in SCORES}}

    def difference(self) -> Difference:
        """Return how far ours is from the plain form in this process, on a bag of median size."""
        sizes = sorted(self.sizes())
        return difference(self.entry, sizes[len(sizes) // 2])


def warm_up(entry: Entry) -> None:
    """Load what the first step loads, on one small bag, so that it is not counted as memory."""
    small = replace(entry.workload, train=1, smallest=8, largest=8)
    make(entry, make_cohort(small)).train(1)
