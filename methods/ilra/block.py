"""The attention block of ILRA-MIL, between a few vectors and the instances of a bag."""

from __future__ import annotations

from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.bags.batch import BagBatch
from mil_bench.nn.casting import full_precision
from mil_bench.nn.segment import segment_map, segment_matmul, segment_softmax


class Block(nn.Module):
    """``MAB(Q, K)``: multi-head attention, a feed-forward layer and a gate.

    ``Q' = Wq Q``, ``K' = Wk K``, ``V' = Wv K``; the attention has projections of its own on these
    (``inner``, for queries, keys and values one above the other). ``O = norm(Q' + attention)``,
    ``O = norm(O + relu(feed O))``, and gated ``O * silu(gate Q)``.

    One side is always a few vectors, so the two projections of keys or queries are folded into
    them and values are projected after they are averaged: the same function for a fraction of the
    multiplications, and no projected instance is kept.
    """

    def __init__(
        self, query_dim: int, key_dim: int, width: int, heads: int, norm: bool, gated: bool
    ) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(query_dim, width)
        self.key, self.value = nn.Linear(key_dim, width), nn.Linear(key_dim, width)
        self.inner = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm0 = nn.LayerNorm(width) if norm else nn.Identity()
        self.norm1 = nn.LayerNorm(width) if norm else nn.Identity()
        self.feed = nn.Linear(width, width)
        self.gate = nn.Linear(query_dim, width) if gated else None

    def start(self) -> None:
        """Initial weights of the official code; biases outside the attention keep PyTorch's."""
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
        nn.init.xavier_uniform_(self.inner.weight)
        nn.init.zeros_(self.inner.bias)
        nn.init.zeros_(self.out.bias)

    def collect(self, queries: Tensor, x: Tensor, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Queries ``(r, query_dim)``, the same for all bags, attend to ``x`` ``(sum N, key_dim)``.

        Gives ``(B, r, width)`` and the attention ``(sum N, r, heads)``.
        """
        projected = self.query(queries)
        (to_query, _), (to_key, bias), (to_value, value_bias) = self._inner()
        q = F.linear(projected, to_query.flatten(0, 1), self.inner.bias[: len(self.out.bias)])
        q = torch.unflatten(q, 1, (self.heads, -1))  # (r, heads, width per head)
        q = q / sqrt(to_key.shape[1])
        inner = torch.einsum("rhd,hdw->rhw", q, to_key).flatten(0, 1)
        constant = torch.einsum("rhd,hd->rh", q, bias).flatten() + inner @ self.key.bias
        scores = F.linear(x, inner @ self.key.weight, constant)  # (sum N, r * heads)
        attention = segment_softmax(scores, batch.segment, batch.offsets)
        means = segment_matmul(attention, x, batch.segment, batch.sizes)  # (B, r * heads, key_dim)
        values = torch.unflatten(self.value(means), 1, (-1, self.heads))
        values = torch.einsum("brhw,hdw->brhd", values, to_value.to(values.dtype)) + value_bias
        rows = self._finish(projected, self.out(values.flatten(2)), queries)
        return rows, torch.unflatten(attention, 1, (-1, self.heads))

    def distribute(self, x: Tensor, keys: Tensor, batch: BagBatch) -> Tensor:
        """Instances ``(sum N, query_dim)`` attend to ``(B, r, key_dim)`` of their bag.

        Gives ``(sum N, width)``.
        """
        projected = self.query(x)
        (to_query, query_bias), (to_key, key_bias), (to_value, value_bias) = self._inner()
        k = torch.einsum("brw,hdw->brhd", self.key(keys), to_key.to(keys.dtype)) + key_bias
        k = k / sqrt(to_key.shape[1])
        v = torch.einsum("brw,hdw->brhd", self.value(keys), to_value.to(keys.dtype)) + value_bias
        matrices = torch.einsum("brhd,hdw->bwrh", k, to_query.to(k.dtype)).flatten(2)
        constants = torch.einsum("brhd,hd->brh", k, query_bias.to(k.dtype)).flatten(1)
        scores = segment_map(projected, matrices, batch.sizes) + constants[batch.segment]
        attention = torch.unflatten(full_precision(scores), 1, (-1, self.heads)).softmax(1)
        out = torch.unflatten(
            self.out.weight, 1, (self.heads, -1)
        )  # (width, heads, width per head)
        matrices = torch.einsum("brhd,whd->brhw", v, out.to(v.dtype)).flatten(1, 2)
        attention = attention.flatten(1).to(matrices.dtype)
        attended = segment_map(attention, matrices, batch.sizes)
        return self._finish(projected, attended + self.out.bias, x)

    def _inner(self) -> list[tuple[Tensor, Tensor]]:
        """Weights ``(heads, width per head, width)`` and biases of queries, keys and values."""
        parts = (3, self.heads, -1)
        weights = torch.unflatten(self.inner.weight, 0, parts)
        return list(zip(weights, torch.unflatten(self.inner.bias, 0, parts), strict=True))

    def _finish(self, projected: Tensor, attended: Tensor, raw: Tensor) -> Tensor:
        rows: Tensor = self.norm0(projected + attended)
        rows = self.norm1(rows + self.feed(rows).relu())
        return rows if self.gate is None else rows * F.silu(self.gate(raw))
