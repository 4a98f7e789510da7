"""Packed batches of a fold: training order, class-balanced sampling, evaluation order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.standardize import Standardization
from mil_bench.taxonomy import Taxonomy

EVALUATION_INSTANCES = 8192  # packed per evaluation step; a larger bag goes alone


def level_labels(taxonomy: Taxonomy, leaf: NDArray[np.int64]) -> dict[str, NDArray[np.int64]]:
    """Level name -> ``(n,)`` class index at that level, from leaf indices ``(n,)``."""
    return {level: taxonomy.ancestor_index(level)[leaf] for level in taxonomy.levels}


class TrainLoader:
    """Training batches whose content depends on ``seed`` and the epoch number alone.

    A resumed run therefore sees the batches of an undisturbed one, and every method sees the same
    order. ``leaf`` is ``(n,)`` leaf indices of ``slide_ids``. ``sampling`` is ``"shuffle"`` (every
    bag once) or ``"balanced"`` (as many draws as bags, with replacement, every class as likely).
    ``max_instances`` takes a fresh random subset of larger bags each epoch.
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
        standardization: Standardization | None = None,
    ) -> None:
        self.bags, self.slide_ids, self.leaf = bags, tuple(slide_ids), leaf
        self.labels = {k: torch.from_numpy(v) for k, v in level_labels(taxonomy, leaf).items()}
        self.batch_size, self.seed = batch_size, seed
        self.sampling, self.max_instances = sampling, max_instances
        self.standardization = standardization

    def __len__(self) -> int:
        """Packed batches per epoch."""
        return -(-len(self.slide_ids) // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64]:
        """``(n,)``: indices of the bags of an epoch in the order of their use."""
        rng = np.random.default_rng([self.seed, epoch])
        n = len(self.slide_ids)
        if self.sampling == "balanced":
            return rng.choice(n, size=n, p=sampling_weights(self.leaf))
        return rng.permutation(n)

    def epoch(self, epoch: int) -> Iterator[BagBatch]:
        """The batches of an epoch, the last one possibly smaller."""
        order = list(enumerate(self.order(epoch).tolist()))
        starts = range(0, len(order), self.batch_size)
        made = (self._batch(epoch, order[start : start + self.batch_size]) for start in starts)
        return _one_ahead(made) if self.bags.pinned else made

    def _batch(self, epoch: int, chunk: Sequence[tuple[int, int]]) -> BagBatch:
        chosen = [bag for _, bag in chunk]
        return self.bags.batch(
            [self.slide_ids[bag] for bag in chosen],
            labels={level: y[chosen] for level, y in self.labels.items()},
            subsets=[self._subset(epoch, place, bag) for place, bag in chunk],
            standardization=self.standardization,
        )

    def _subset(self, epoch: int, place: int, bag: int) -> Tensor | None:
        size = self.bags.rows[self.slide_ids[bag]][1]
        if self.max_instances is None or size <= self.max_instances:
            return None
        rng = np.random.default_rng([self.seed, epoch, 1 + place])
        chosen = rng.choice(size, self.max_instances, replace=False, shuffle=False)
        return torch.from_numpy(np.sort(chosen))


class EvaluationLoader:
    """Batches of whole bags in the given order, without labels."""

    def __init__(
        self,
        bags: DeviceBags,
        slide_ids: Sequence[str],
        standardization: Standardization | None = None,
    ) -> None:
        self.bags, self.slide_ids, self.standardization = bags, tuple(slide_ids), standardization

    def __iter__(self) -> Iterator[BagBatch]:
        made = (
            self.bags.batch(chunk, standardization=self.standardization) for chunk in self._chunks()
        )
        return _one_ahead(made) if self.bags.pinned else made

    def _chunks(self) -> Iterator[list[str]]:
        chunk: list[str] = []
        instances = 0
        for slide_id in self.slide_ids:
            size = self.bags.rows[slide_id][1]
            if chunk and instances + size > EVALUATION_INSTANCES:
                yield chunk
                chunk, instances = [], 0
            chunk.append(slide_id)
            instances += size
        if chunk:
            yield chunk


def sampling_weights(leaf: NDArray[np.int64]) -> NDArray[np.float64]:
    """``(n,)`` draw probabilities: classes equally likely, and bags within a class."""
    _, inverse, counts = np.unique(leaf, return_inverse=True, return_counts=True)
    weights: NDArray[np.float64] = 1 / (counts[inverse] * len(counts))
    weights /= weights.sum()
    return weights


def _one_ahead(batches: Iterator[BagBatch]) -> Iterator[BagBatch]:
    """Prepare the next batch in a thread while the device works on the present one."""
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = thread.submit(next, batches, None)
            yield batch
