"""Leaf classes whose sums are trained at every level."""

from __future__ import annotations

import torch
from torch import Tensor

from mil_bench.nn.casting import full_precision
from mil_bench.nn.cross_entropy import cross_entropy
from mil_bench.nn.heads.head import Head, Levels
from mil_bench.taxonomy import LEAF, Taxonomy


class Marginal(Head):
    """``p(C) = sum of softmax(s)`` over the leaves under ``C``; cross entropy of every level.

    The terms ``ce_<level>`` have weight one. Levels agree by construction. With class-wise
    attention there is a branch per leaf.
    """

    def __init__(self, taxonomy: Taxonomy) -> None:
        super().__init__(taxonomy)
        for level in taxonomy.levels[:-1]:
            under = torch.from_numpy(taxonomy.membership(level)).log()  # 0, or -inf outside
            self.register_buffer(f"under_{level}", under, persistent=False)

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """``(B, K_leaf)`` -> the same, and log probabilities of the levels above."""
        leaves = full_precision(scores).log_softmax(1).unsqueeze(2)
        above = {
            level: (leaves + self.get_buffer(f"under_{level}").to(leaves.dtype)).logsumexp(1)
            for level in self.taxonomy.levels[:-1]
        }
        return {**above, LEAF: scores}

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Cross entropy of every level."""
        return {
            f"ce_{level}": cross_entropy(logits[level], labels[level], weights.get(level))
            for level in self.taxonomy.levels
        }
