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
        self.keys = nn.ModuleList(_FoldedKeys(width, heads) for _ in range(branches))
        self.values = nn.ModuleList(_HeadMeans(width, heads) for _ in range(branches))
        self.bag = _HeadMeans(width, heads)

    def scores(self, h: Tensor) -> Tensor:
        """``(sum N, width)`` -> ``(sum N, branches * heads)``."""
        folded = [key(query) for key, query in zip(self.keys, self.queries[0], strict=True)]
        weights, constants = zip(*folded, strict=True)
        return F.linear(h, torch.cat(weights), torch.cat(constants))

    def pool(self, attention: Tensor, h: Tensor, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Per head weighted means, then each branch's values, output layer and norm."""
        means = segment_matmul(attention, h, batch.segment, batch.sizes)
        means = torch.unflatten(means, 1, (len(self.values), -1))  # (B, branches, heads, width)
        branches = zip(self.values, means.unbind(1), strict=True)
        features = torch.stack([values(one) for values, one in branches], 1)
        return features, self.bag(means.mean(1))


class _FoldedKeys(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)

    def forward(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """``(heads, width)`` weights and ``(heads,)`` constants that score an instance."""
        q = self.query(query).view(self.heads, -1)  # (heads, width per head)
        q = q / sqrt(q.shape[1])
        weight = self.key.weight.view(*q.shape, -1).to(q.dtype)
        return torch.einsum("hd,hdw->hw", q, weight), (q * self.key.bias.view(q.shape)).sum(1)


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
        weight = self.value.weight.view(self.heads, -1, means.shape[2]).to(means.dtype)
        values = torch.einsum("bhw,hdw->bhd", means, weight).flatten(1)
        rows: Tensor = self.norm(self.dropout(self.out(values + self.value.bias)))
        return rows
