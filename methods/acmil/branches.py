"""The attention of ACMIL in two forms; both score instances, then pool them per branch.

A form has ``scores(h)`` ``(sum N, branches * heads)``, heads of a branch side by side, and
``pool(attention, h, batch)``: features of the branches ``(B, branches, width)`` and of the bag
``(B, width)``, which is attended with the mean of the branches' attention.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.bags.batch import BagBatch
from mil_bench.nn.attention import AttentionNet
from mil_bench.nn.dropout import Dropout
from mil_bench.nn.segment import segment_matmul

_DROPOUT: Final = 0.1  # fixed in the official code


class GatedBranches(nn.Module):
    """A gated attention network with a column of scores per branch."""

    def __init__(self, width: int, hidden: int, branches: int) -> None:
        super().__init__()
        self.net = AttentionNet(width, hidden, branches)

    def scores(self, h: Tensor) -> Tensor:
        """``(sum N, width)`` -> ``(sum N, branches)``."""
        scores: Tensor = self.net(h)
        return scores

    def pool(self, attention: Tensor, h: Tensor, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Weighted means; that of the mean attention is the mean of the means."""
        pooled = segment_matmul(attention, h, batch.segment, batch.sizes)
        return pooled, pooled.mean(1)


class MultiHeadBranches(nn.Module):
    """A learned query per branch, with cross attention of its own to the instances.

    Queries do not depend on the instances, so keys are folded into them: a score costs one row of
    ``width`` per head instead of a projection of every instance. Values are linear and the weights
    sum to one, so the weighted mean is projected instead of the instances. The function is that of
    the official code.
    """

    def __init__(self, width: int, heads: int, branches: int) -> None:
        super().__init__()
        self.queries = nn.Parameter(1e-6 * torch.randn(1, branches, width))
        self.branches = nn.ModuleList(_Branch(width, heads) for _ in range(branches))
        self.bag = _HeadMeans(width, heads)
        self.heads = heads

    def scores(self, h: Tensor) -> Tensor:
        """``(sum N, width)`` -> ``(sum N, branches * heads)``."""
        folded = [
            branch.folded(query)
            for branch, query in zip(self.branches, self.queries[0], strict=True)
        ]
        weights, constants = zip(*folded, strict=True)
        return F.linear(h, torch.cat(weights), torch.cat(constants))

    def pool(self, attention: Tensor, h: Tensor, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Per head weighted means, then each branch's values, output layer and norm."""
        means = segment_matmul(attention, h, batch.segment, batch.sizes)
        means = means.unflatten(1, (len(self.branches), self.heads))  # (B, branches, heads, width)
        features = [
            branch.values(one) for branch, one in zip(self.branches, means.unbind(1), strict=True)
        ]
        return torch.stack(features, 1), self.bag(means.mean(1))


class _HeadMeans(nn.Module):
    """``norm(dropout(out(value)))`` of a mean per head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(_DROPOUT)
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, means: Tensor) -> Tensor:
        """``(B, heads, width)`` -> ``(B, width)``."""
        weight = self.value.weight.unflatten(0, (self.heads, -1))
        values = torch.einsum("bhw,hdw->bhd", means, weight.to(means.dtype)).flatten(1)
        rows: Tensor = self.norm(self.dropout(self.out(values + self.value.bias)))
        return rows


class _Branch(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.values = _HeadMeans(width, heads)

    def folded(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """``(heads, width)`` weights and ``(heads,)`` constants that score an instance."""
        heads = (self.values.heads, -1)
        q = self.query(query).unflatten(0, heads)  # (heads, width per head)
        q = q / sqrt(q.shape[1])
        weight = torch.einsum("hd,hdw->hw", q, self.key.weight.unflatten(0, heads).to(q.dtype))
        return weight, (q * self.key.bias.unflatten(0, heads)).sum(1)
