"""A classifier per level: the levels know of each other only through the bag's vector."""

from __future__ import annotations

from torch import Tensor

from mil_bench.nn.cross_entropy import cross_entropy
from mil_bench.nn.heads.head import Head, Levels


class Multi(Head):
    """``softmax(s_level)`` for every level; the terms ``ce_<level>``, each with weight one.

    Levels may contradict each other. With class-wise attention every class of every level has its
    own branch.
    """

    @property
    def outputs(self) -> int:
        """One per class of every level, the top level first."""
        return sum(self._sizes)

    def by_level(self, x: Tensor) -> dict[str, Tensor]:
        """The columns of every level."""
        return dict(zip(self.taxonomy.levels, x.split_with_sizes(self._sizes, 1), strict=True))

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """``(B, outputs)`` -> the logits of every level."""
        return self.by_level(scores)

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Cross entropy of every level."""
        return {
            f"ce_{level}": cross_entropy(logits[level], labels[level], weights.get(level))
            for level in self.taxonomy.levels
        }

    @property
    def _sizes(self) -> list[int]:
        return [len(self.taxonomy.classes[level]) for level in self.taxonomy.levels]
