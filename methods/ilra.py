"""ILRA-MIL: iterative low-rank attention (Xiang and Zhang, ICLR 2023)."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.base.config import heads_divide, tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Component, Output, PaperCard, Switch
from mil_bench.contract.numerics import full_precision
from mil_bench.nn.headed import HeadConfig, HeadedMethod
from mil_bench.nn.segment import segment_map, segment_matmul, segment_softmax


class ILRAConfig(HeadConfig):
    """``rank`` is the number of latent vectors ``r`` in each of ``layers`` layers.

    The default is the published configuration. With rank 1 every instance of a bag reads the same
    vector.
    """

    rank: int = tunable(1, choices=(1, 2, 4, 8, 16), ge=1)
    layers: int = tunable(2, low=1, high=4, ge=0)
    width: int = tunable(256, choices=(64, 128, 256), ge=1)
    heads: int = Field(8, ge=1)
    norm: bool = True
    gated: bool = True

    _heads_divide_width = heads_divide("width")


class LowRankLayer(nn.Module):
    """Latent vectors ``L`` read the instances, instances read them: ``MAB(X, MAB(L, X))``."""

    def __init__(self, dim: int, config: ILRAConfig) -> None:
        super().__init__()
        width, form = config.width, (config.width, config.heads, config.norm, config.gated)
        # (1, r, width)
        self.latent = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, config.rank, width)))
        self.inward = AttentionBlock(width, dim, *form)
        self.outward = AttentionBlock(dim, width, *form)

    def forward(self, x: Tensor, batch: BagBatch) -> Tensor:
        """Let latents read the instances, and these the latents: ``(sum N, width)``."""
        collected, _ = self.inward.collect(self.latent[0], x, batch)  # (B, r, width)
        return self.outward.distribute(x, collected, batch)


class ILRA(HeadedMethod):
    """Low-rank attention layers, then a learned seed that attends to all instances.

    ``H = MAB(L, X)`` with latent ``L`` ``(r, width)``, ``X' = MAB(X, H)``, twice; pooling
    ``MAB(seed, X)`` without a gate; a linear classifier. No positions, no dropout.

    Cost with D = 1024 and 7 classes: 3.69 M parameters, 1.64 MFLOP per patch (4.46 in the official
    order of multiplications, see :class:`AttentionBlock`; rank 16: 2.50), linear in N.
    ``Output.attention`` ``(sum N, 1)`` is the attention of the seed, mean over heads.
    """

    Config = ILRAConfig
    config: ILRAConfig
    paper = PaperCard(
        title="Exploring Low-Rank Property in Multiple Instance Learning for Whole Slide Image "
        "Classification",
        year=2023,
        venue="ICLR",
        link="https://openreview.net/forum?id=01KmhBsEPFO",
        code="jinxixiang/low_rank_wsi @ bb45b9b",
        differs=(
            "the aggregator only; the paper's low-rank pre-training of features is not part of it",
            "rank 1 with layer norm is the published configuration; the class there defaults to "
            "rank 2 without",
            "consecutive linear maps are multiplied first: the same function with fewer operations",
            "the epoch of lowest validation log loss is tested (official: the last)",
            "several bags per step, each computed separately",
        ),
        steps=(
            "latents collect from patches",
            "patches read the latents",
            "both once more",
            "a learned seed attends to all",
            "classify",
        ),
        losses=("cross entropy",),
    )
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "adam",
        "lr": 1e-4,
        "weight_decay": 0.0,
        "epochs": 100,
        "batch_size": 1,
        "schedule": "cosine",
    }
    ablations = Ablations(
        components={
            "layers": Component("low-rank layers", {"layers": 0}),
            "gate": Component("gates", {"gated": False}, within="layers"),
            "norm": Component("layer norm", {"norm": False}),
        },
        variants={
            "rank_4": Switch("rank 4", {"rank": 4}),
            "rank_16": Switch("rank 16", {"rank": 16}),
        },
        twins=("abmil",),
    )

    def __init__(self, config: ILRAConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        width = config.width
        dims = [dim] + [width] * config.layers
        self.layers = nn.ModuleList(LowRankLayer(in_dim, config) for in_dim in dims[:-1])
        self.seed = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, 1, width)))
        self.pooling = AttentionBlock(
            width, dims[-1], width, config.heads, config.norm, gated=False
        )
        self.classifier = nn.Linear(width, self.decision.outputs)
        # The official initial weights; the blocks replace theirs below.
        nn.init.xavier_normal_(self.classifier.weight)
        for module in self.modules():
            if isinstance(module, AttentionBlock):
                module.start()

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and attention ``(sum N, 1)``."""
        x = batch.features
        for layer in self.layers:
            x = layer(x, batch)
        pooled, attention = self.pooling.collect(self.seed[0], x, batch)  # (B, 1, width)
        return Output(
            logits=self.decision(self.classifier(pooled.squeeze(1))),
            attention={LEAF: attention.mean(2)},  # (sum N, 1)
            extras={"instances": x, "bag_features": pooled.squeeze(1)},
        )


class AttentionBlock(nn.Module):
    """``MAB(Q, K)``: multi-head attention, a feed-forward layer and a gate.

    ``Q' = Wq Q``, ``K' = Wk K``, ``V' = Wv K``; the attention projects these once more
    (``inner``, for queries, keys and values one above the other). ``O = norm(Q' + attention)``,
    ``O = norm(O + relu(feed O))``, and gated ``O * silu(gate Q)``.

    One side is always a few vectors, so the two projections of keys or queries are folded into
    them. Values are projected after they are averaged. This is the same function for a fraction of
    the multiplications, and no projected instance is stored.
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
        """Set the initial weights of the official code.

        Biases outside the attention stay PyTorch's.
        """
        for layer in self.children():
            if isinstance(layer, nn.Linear):
                nn.init.xavier_normal_(layer.weight)
        nn.init.xavier_uniform_(self.inner.weight)
        nn.init.zeros_(self.inner.bias)
        nn.init.zeros_(self.out.bias)

    def collect(self, queries: Tensor, x: Tensor, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Let queries ``(r, query_dim)``, equal for all bags, attend to ``x`` ``(sum N, key_dim)``.

        Returns ``(B, r, width)`` and the attention ``(sum N, r, heads)``.
        """
        projected = self.query(queries)  # Q', (r, width)
        (to_query, _), (to_key, bias), (to_value, value_bias) = self._inner()
        # Second projection, of queries.
        q = F.linear(projected, to_query.flatten(0, 1), self.inner.bias[: len(self.out.bias)])
        q = torch.unflatten(q, 1, (self.heads, -1))  # (r, heads, width per head)
        q = q / sqrt(to_key.shape[1])
        # q.(W2 k' + b2) = (q W2) k' + q.b2 with k' = W1 x + b1: (r * heads, width) in front of W1.
        inner = torch.einsum("rhd,hdw->rhw", q, to_key).flatten(0, 1)
        # Both biases.
        constant = torch.einsum("rhd,hd->rh", q, bias).flatten() + inner @ self.key.bias
        scores = F.linear(x, inner @ self.key.weight, constant)  # (sum N, r * heads)
        attention = segment_softmax(scores, batch.segment, batch.offsets)
        means = segment_matmul(attention, x, batch.segment, batch.sizes)  # (B, r * heads, key_dim)
        values = torch.unflatten(self.value(means), 1, (-1, self.heads))  # (B, r, heads, width)
        # The bias once: weights sum to one. (B, r, heads, width per head)
        values = torch.einsum("brhw,hdw->brhd", values, to_value.to(values.dtype)) + value_bias
        rows = self._finish(projected, self.out(values.flatten(2)), queries)
        return rows, torch.unflatten(attention, 1, (-1, self.heads))

    def distribute(self, x: Tensor, keys: Tensor, batch: BagBatch) -> Tensor:
        """Let instances ``(sum N, query_dim)`` attend to ``(B, r, key_dim)`` of their bag.

        Returns ``(sum N, width)``.
        """
        projected = self.query(x)  # Q', (sum N, width)
        (to_query, query_bias), (to_key, key_bias), (to_value, value_bias) = self._inner()
        # (B, r, heads, width per head)
        k = torch.einsum("brw,hdw->brhd", self.key(keys), to_key.to(keys.dtype)) + key_bias
        k = k / sqrt(to_key.shape[1])
        v = torch.einsum("brw,hdw->brhd", self.value(keys), to_value.to(keys.dtype)) + value_bias
        # (B, width, r * heads)
        matrices = torch.einsum("brhd,hdw->bwrh", k, to_query.to(k.dtype)).flatten(2)
        # (B, r * heads)
        constants = torch.einsum("brhd,hd->brh", k, query_bias.to(k.dtype)).flatten(1)
        scores = segment_map(projected, matrices, batch.sizes) + constants[batch.segment]
        # Over the r latents.
        attention = torch.unflatten(full_precision(scores), 1, (-1, self.heads)).softmax(1)
        out = torch.unflatten(
            self.out.weight, 1, (self.heads, -1)
        )  # (width, heads, width per head)
        # The output layer goes into the values: (B, r * heads, width), few rows instead of sum N.
        matrices = torch.einsum("brhd,whd->brhw", v, out.to(v.dtype)).flatten(1, 2)
        attention = attention.flatten(1).to(matrices.dtype)
        attended = segment_map(attention, matrices, batch.sizes)
        return self._finish(projected, attended + self.out.bias, x)

    def _inner(self) -> list[tuple[Tensor, Tensor]]:
        """Return weights ``(heads, width per head, width)`` and biases of queries, keys, values."""
        parts = (3, self.heads, -1)
        weights = torch.unflatten(self.inner.weight, 0, parts)
        return list(zip(weights, torch.unflatten(self.inner.bias, 0, parts), strict=True))

    def _finish(self, projected: Tensor, attended: Tensor, raw: Tensor) -> Tensor:
        rows: Tensor = self.norm0(projected + attended)  # the residual is Q', not the raw query
        rows = self.norm1(rows + self.feed(rows).relu())
        return rows if self.gate is None else rows * F.silu(self.gate(raw))
