"""The head of a flat method: the leaf classes and their cross entropy."""

from __future__ import annotations

from torch import Tensor

from mil_bench.nn.cross_entropy import cross_entropy
from mil_bench.nn.heads.head import Head, Levels
from mil_bench.taxonomy import LEAF


class Flat(Head):
    """``softmax(s)`` over the leaves; the term ``ce``."""

    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """``(B, K_leaf)`` as they are."""
        return {LEAF: scores}

    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Cross entropy of the leaves."""
        return {"ce": cross_entropy(logits[LEAF], labels[LEAF], weights.get(LEAF))}
