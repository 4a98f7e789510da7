"""Synthetic label trees and bags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.graph import with_edges
from mil_bench.contract.method import Method, Output
from mil_bench.contract.numerics import full_precision

SIZES = (1, 2, 5, 12)  # one instance; few; more than a small k
LABELS = (0, 1, 4, 4)  # of 5 classes some are missing, one is there twice
CLASSES = 5


def flat(classes: int = CLASSES) -> Taxonomy:
    """Return a tree of one level."""
    return Taxonomy.flat("flat", [f"leaf{c}" for c in range(classes)])


def three_levels(classes: int = CLASSES) -> Taxonomy:
    """Return a tree of three levels: groups of two leaves, groups of two groups."""
    leaves = [f"leaf{c}" for c in range(classes)]
    pairs = [leaves[i : i + 2] for i in range(0, classes, 2)]
    fours = [pairs[i : i + 2] for i in range(0, len(pairs), 2)]
    return Taxonomy(
        "deep",
        tuple(
            (f"top{i}", f"middle{i}.{j}", leaf)
            for i, four in enumerate(fours)
            for j, pair in enumerate(four)
            for leaf in pair
        ),
    )


TREES = (flat, three_levels)


def make_batch(
    sizes: Sequence[int], labels: Sequence[int], taxonomy: Taxonomy, dim: int = 6
) -> BagBatch:
    """Return random float64 bags with coordinates and the labels of every level."""
    draw = torch.Generator().manual_seed(2)
    bags = [torch.randn(size, dim, dtype=torch.float64, generator=draw) for size in sizes]
    coords = [torch.rand(size, 2, generator=draw) * 1000 for size in sizes]
    levels = {
        level: torch.from_numpy(taxonomy.ancestor_index(level)[list(labels)])
        for level in taxonomy.levels
    }
    return BagBatch.pack(bags, coords, levels)


def usual_batch(taxonomy: Taxonomy) -> BagBatch:
    """Return bags of :data:`SIZES` instances with :data:`LABELS`."""
    return make_batch(SIZES, LABELS, taxonomy)


def seen_by(model: Method, batch: BagBatch) -> BagBatch:
    """Return the batch as the harness passes it: with edges if the method has neighbours."""
    return with_edges(batch, model.neighbours)


def total(terms: Mapping[str, Tensor]) -> Tensor:
    """Return the loss, summed in float32 or wider as the harness does."""
    return torch.stack([full_precision(term) for term in terms.values()]).sum()


def same(a: Tensor, b: Tensor) -> bool:
    # nan is unlike itself
    """Return whether two tensors are equal to the last bit; NaN equals NaN."""
    return torch.equal(a.nan_to_num(), b.nan_to_num())


def tensors(output: Output) -> dict[str, Tensor]:
    """Return logits and attention by name."""
    return {f"{k} logits": v for k, v in output.logits.items()} | {
        f"{k} attention": v for k, v in output.attention.items()
    }
