"""Leaf classes trained on labels that the tree softens (Bertinetto et al., CVPR 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from mil_bench.nn.casting import full_precision
from mil_bench.nn.cross_entropy import mean_over_bags
from mil_bench.nn.heads.head import Head, Levels
from mil_bench.taxonomy import LEAF, Taxonomy


class SoftLabels(Head):
    """Cross entropy with ``y(A | C) ~ exp(-beta d(A, C))`` (eq. 5); the term ``ce_soft``.

    ``d`` is the height of the lowest common ancestor of two leaves over the height of the tree.
    A large ``beta`` is the flat head. With class-wise attention there is a branch per leaf.
    """

    def __init__(self, taxonomy: Taxonomy, beta: float) -> None:
        super().__init__(taxonomy)
        heights = torch.from_numpy(taxonomy.lca_height)
        self.targets: Tensor
        targets = (-beta * heights / heights.max()).softmax(1)  # row: true class
        self.register_buffer("targets", targets, persistent=False)

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """``(B, K_leaf)`` as they are."""
        return {LEAF: scores}

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Cross entropy of the leaves with soft targets."""
        log_p = full_precision(logits[LEAF]).log_softmax(1)
        losses = -(self.targets[labels[LEAF]].to(log_p.dtype) * log_p).sum(1)
        return {"ce_soft": mean_over_bags(losses, labels[LEAF], weights.get(LEAF))}
