"""The three cohorts that everything is measured on, made up from a seed.

Sizes are quantiles of a distribution, not draws: few bags then have the median and the tails of
many. Features are noise; a tenth of every bag is shifted towards its class, a little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mil_bench.bags.store import store_of_arrays
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.manifest import Manifest
from mil_bench.contract.store import BagStore

TREE: Final = Taxonomy.from_tree(
    "bracs",
    {"benign": ["N", "PB", "UDH"], "atypical": ["FEA", "ADH"], "malignant": ["DCIS", "IC"]},
)
SIGNAL_SHARE: Final = 0.1  # of the instances of a bag
SIGNAL_NORM: Final = 4.5  # of their shift, in standard deviations of one feature


@dataclass(frozen=True)
class Workload:
    """``dim`` features, ``train`` bags for speed, ``held_out`` bags for quality (0: no quality).

    Sizes are log-normal around ``median`` with ``spread``, or log-uniform from ``smallest`` to
    ``largest`` where ``spread`` is 0. ``batch`` bags make one packed step.
    """

    name: str
    title: str
    dim: int
    smallest: int
    largest: int
    train: int
    batch: int
    median: float = 0.0
    spread: float = 0.0
    held_out: int = 0

    def sizes(self, bags: int) -> NDArray[np.int64]:
        """Return ``(bags,)`` ascending bag sizes: the mid-quantiles of the distribution."""
        quantiles = (np.arange(bags) + 0.5) / bags
        if self.spread:
            normal = np.array([NormalDist().inv_cdf(q) for q in quantiles])
            sizes = self.median * np.exp(self.spread * normal)
        else:
            sizes = self.smallest * (self.largest / self.smallest) ** quantiles
        return sizes.round().clip(self.smallest, self.largest).astype(np.int64)


WORKLOADS: Final = {
    w.name: w
    for w in (
        Workload("W1", "BRACS-like", 1024, 100, 12_000, 12, 1, median=2500, spread=0.8),
        Workload("W2", "PANDA-like", 1024, 20, 300, 128, 16, held_out=256),
        Workload("W3", "UNI-like", 1536, 300, 32_000, 6, 1, median=8000, spread=0.8),
        Workload("tiny", "for tests", 16, 3, 12, 14, 4, held_out=14),
    )
}


@dataclass(frozen=True)
class Cohort:
    """Bags in memory with their labels; slide ids of the ``train`` and ``held_out`` bags."""

    store: BagStore
    manifest: Manifest
    train: tuple[str, ...]
    held_out: tuple[str, ...]

    @property
    def instances(self) -> int:
        """Instances in the training bags."""
        return sum(self.store.rows[slide][1] for slide in self.train)

    def leaf(self, slides: Sequence[str]) -> NDArray[np.int64]:
        """Return ``(n,)`` leaf index of each slide."""
        labels = self.manifest.labels()
        return np.array([TREE.index(labels[slide]) for slide in slides], dtype=np.int64)


def make_cohort(workload: Workload, seed: int = 0, *, held_out: bool = False) -> Cohort:
    """Return the training bags of ``workload`` and, on request, its held-out bags, float32."""
    rng = np.random.default_rng(seed)
    shifts = class_shifts(workload.dim, rng)
    train = _bags("train", workload.sizes(workload.train), shifts, rng)
    others = {}
    if held_out:
        others = _bags("held-out", workload.sizes(workload.held_out), shifts, rng)
    bags = train | others
    return Cohort(
        store_of_arrays("synthetic", {slide: x for slide, (x, _) in bags.items()}),
        Manifest.build(bags, [TREE.leaves[leaf] for _, leaf in bags.values()]),
        tuple(train),
        tuple(others),
    )


def class_shifts(dim: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return ``(7, dim)``: a direction per leaf, half of it shared with its siblings."""
    coarse = rng.normal(size=(len(TREE.classes["coarse"]), dim))
    leaf = rng.normal(size=(len(TREE.leaves), dim))
    directions = coarse[TREE.ancestor_index("coarse")] + leaf
    directions *= SIGNAL_NORM / np.linalg.norm(directions, axis=1, keepdims=True)
    return directions.astype(np.float32)


def _bags(
    name: str, sizes: NDArray[np.int64], shifts: NDArray[np.float32], rng: np.random.Generator
) -> dict[str, tuple[NDArray[np.float32], int]]:
    """Slide id -> features and leaf; classes take turns over bags in random order of size."""
    bags = {}
    for i, size in enumerate(rng.permutation(sizes)):
        leaf = i % len(shifts)
        x = rng.standard_normal((size, shifts.shape[1]), dtype=np.float32)
        x[: int(np.ceil(SIGNAL_SHARE * size))] += shifts[leaf]
        bags[f"{name}-{i}"] = (x, leaf)
    return bags
