"""Softmax self-attention within packed sequences."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.bags.batch import BagBatch
from mil_bench.nn.segment import segment_map, segment_matmul, segment_softmax
from mil_bench.nn.sequences import equal_runs, pack


class SelfAttention(nn.Module):
    """Multi-head attention (Vaswani et al., 2017), queries, keys and values without biases.

    Neighbours of equal size share a call of ``scaled_dot_product_attention``; its fused kernels
    keep no matrix of ``n x n``. Nothing is padded.
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Linear(dim, dim)

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """``(sum n, dim)`` -> ``(sum n, dim)``: packed sequences of ``sizes`` rows."""
        mixed = []
        for run in equal_runs(self.qkv(x), sizes):
            heads = torch.unflatten(run, 2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            attended = F.scaled_dot_product_attention(*heads)  # (g, heads, n, dim / heads)
            mixed.append(attended.transpose(1, 2).flatten(2))
        rows: Tensor = self.out(pack(mixed))
        return rows

    def first_rows(self, x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Outputs of the first rows ``(B, dim)`` and their scores of all rows ``(sum n, heads)``.

        The same function, linear in ``n``: keys are folded into the few queries, and values are
        projected after they are averaged.
        """
        bags = BagBatch.of_rows(x, sizes)
        to_query, to_key, to_value = torch.unflatten(self.qkv.weight, 0, (3, self.heads, -1))
        first = x[bags.offsets[:-1]]
        queries = torch.einsum("bw,hdw->bhd", first, to_query.to(x.dtype)) / sqrt(to_key.shape[1])
        matrices = torch.einsum("bhd,hdw->bwh", queries, to_key.to(queries.dtype))
        scores = segment_map(x, matrices, bags.sizes)
        attention = segment_softmax(scores, bags.segment, bags.offsets)
        means = segment_matmul(attention, x, bags.segment, bags.sizes)  # (B, heads, dim)
        values = torch.einsum("bhw,hdw->bhd", means, to_value.to(means.dtype))
        rows: Tensor = self.out(values.flatten(1))
        return rows, scores
