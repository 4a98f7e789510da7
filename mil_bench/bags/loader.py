"""Packed batches of a fold: training order, class-balanced sampling, evaluation order."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.bags.device import DeviceBags
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.batch import BagBatch

T = TypeVar("T")

# Packed per evaluation step; a larger bag goes alone. A GPU wants long steps; on a host, packing is
# a copy and a large bag alone is a view.
ON_CUDA, ON_HOST = 8192, 2048


def level_labels(taxonomy: Taxonomy, leaf: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Return the class indices ``(n,)`` of every level, from leaf indices ``(n,)``."""
    return {level: taxonomy.ancestor_index(level)[leaf] for level in taxonomy.levels}


class TrainLoader:
    """Training batches whose content depends only on ``seed`` and the epoch number.

    A resumed run therefore sees the batches of an uninterrupted one, and every method sees the same
    order. ``leaf`` is ``(n,)`` leaf indices of ``slide_ids``. ``sampling`` is ``"shuffle"`` (every
    bag once) or ``"balanced"`` (as many draws as bags, with replacement, classes equally likely).
    ``max_instances`` takes a new random subset of larger bags in every epoch.
    """

    def __init__(
        self,
        bags: DeviceBags,
        slide_ids: Sequence[str],
        leaf: NDArray[np.int64],
        taxonomy: Taxonomy,
        *,
        batch_size: int,
        seed: int,
        sampling: str = "shuffle",
        max_instances: int | None = None,
    ) -> None:
        self.bags, self.slide_ids, self.leaf = bags, tuple(slide_ids), leaf
        self.labels = {k: torch.from_numpy(v) for k, v in level_labels(taxonomy, leaf).items()}
        self.batch_size, self.seed = batch_size, seed
        self.sampling, self.max_instances = sampling, max_instances

    def __len__(self) -> int:
        """Packed batches per epoch."""
        return -(-len(self.slide_ids) // self.batch_size)  # the last batch may be short

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Return ``(n,)``: indices of the bags of an epoch in order of use."""
        # A stream per epoch: nothing to store for a resume.
        rng = np.random.default_rng([self.seed, epoch])
        n = len(self.slide_ids)
        if self.sampling == "balanced":
            # With replacement: a rare class repeats bags.
            return rng.choice(n, size=n, p=sampling_weights(self.leaf))
        return rng.permutation(n)

    def epoch(self, epoch: int) -> Iterator[BagBatch]:
        """Return the batches of an epoch; the last one may be smaller."""
        order = list(enumerate(self.order(epoch).tolist()))
        starts = range(0, len(order), self.batch_size)
        chunks = [order[start : start + self.batch_size] for start in starts]
        slides = [[self.slide_ids[bag] for _, bag in chunk] for chunk in chunks]
        batches = (self._batch(epoch, chunk) for chunk in _announced(self.bags, chunks, slides))
        single = self.batch_size == 1 and self.max_instances is None
        return _prepared(batches, self.bags, self.slide_ids, single=single)

    def _batch(self, epoch: int, chunk: Sequence[tuple[int, int]]) -> BagBatch:
        indices = [bag for _, bag in chunk]
        return self.bags.batch(
            [self.slide_ids[bag] for bag in indices],
            labels={level: y[indices] for level, y in self.labels.items()},
            # By place and not by bag: one drawn twice gets two subsets.
            subsets=[self._subset(epoch, place, bag) for place, bag in chunk],
        )

    def _subset(self, epoch: int, place: int, bag: int) -> Tensor | None:
        size = self.bags.rows[self.slide_ids[bag]][1]
        if self.max_instances is None or size <= self.max_instances:
            return None
        rng = np.random.default_rng([self.seed, epoch, 1 + place])
        # Sorted: reading forwards through the map. shuffle=False spares a permutation that is
        # undone.
        rows = rng.choice(size, self.max_instances, replace=False, shuffle=False)
        return torch.from_numpy(np.sort(rows))


class EvaluationLoader:
    """Batches of whole bags in the given order, without labels."""

    def __init__(self, bags: DeviceBags, slide_ids: Sequence[str]) -> None:
        self.bags, self.slide_ids = bags, tuple(slide_ids)

    def __iter__(self) -> Iterator[BagBatch]:
        chunks = list(self._chunks())
        batches = (self.bags.batch(chunk) for chunk in _announced(self.bags, chunks, chunks))
        single = len(chunks) == len(self.slide_ids)  # one bag per batch: views, nothing to prepare
        return _prepared(batches, self.bags, self.slide_ids, single=single)

    def _chunks(self) -> Iterator[list[str]]:
        chunk: list[str] = []
        instances, most = 0, ON_CUDA if self.bags.on_cuda else ON_HOST
        for slide_id in self.slide_ids:
            size = self.bags.rows[slide_id][1]
            if chunk and instances + size > most:  # a bag above the limit goes alone
                yield chunk
                chunk, instances = [], 0
            chunk.append(slide_id)
            instances += size
        if chunk:
            yield chunk


def sampling_weights(leaf: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ``(n,)`` draw probabilities: classes equally likely, and bags within a class."""
    _, inverse, counts = np.unique(leaf, return_inverse=True, return_counts=True)
    # Inverse of its class's size.
    weights: NDArray[np.float64] = 1 / (counts[inverse] * len(counts))
    weights /= weights.sum()
    return weights


def _announced(
    bags: DeviceBags, chunks: Sequence[T], slides: Sequence[Sequence[str]]
) -> Iterator[T]:
    """The chunks; taking one announces the slides of the next one."""
    # The last one has no successor.
    for chunk, upcoming in zip(chunks, [*slides[1:], []], strict=True):
        bags.announce(upcoming)
        yield chunk


def _prepared(
    batches: Iterator[BagBatch], bags: DeviceBags, slide_ids: Sequence[str], *, single: bool
) -> Iterator[BagBatch]:
    """The batches, prepared in a thread where that work can overlap with the model's.

    It cannot where batches are views of bags at hand (``single``: one complete bag per batch), nor
    where they are copies within a GPU, which the host only launches.
    """
    if bags.at_hand(slide_ids) and (single or bags.on_cuda):
        return batches
    return prefetched(batches) if bags.on_cuda or spare_core() else batches


def prefetched(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items, each made while its predecessor is in use.

    An error in the thread is raised here, in its place in the order. When the caller stops early,
    the item being made is finished and the thread ends.
    """
    end = object()
    # One item and not more, because each one may be a large share of the memory of the device.
    with ThreadPoolExecutor(1, "mil-bench-loader") as thread:
        pending = thread.submit(next, items, end)
        while (item := pending.result()) is not end:
            pending = thread.submit(next, items, end)
            yield item  # type: ignore[misc]


def spare_core() -> bool:
    """Return whether a core is free for a thread: more cores than the model has threads."""
    # Batch systems bind a process to some of the cores; Linux tells which.
    bound = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if bound else os.cpu_count() or 1
    return cores > torch.get_num_threads()
