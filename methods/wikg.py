"""WiKG: a slide as a graph whose edges are learned (Li et al., CVPR 2024)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, ClassVar, Final, Literal

import torch
from torch import Tensor, nn

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Component, Output, PaperCard, Switch
from mil_bench.nn.headed import HeadConfig, HeadedMethod
from mil_bench.nn.layers import Dropout
from mil_bench.nn.segment import segment_matmul, segment_max, segment_mean, segment_softmax
from mil_bench.nn.sequences import by_parts

_PART: Final = 1 << 13  # patches whose neighbours are in memory at a time


class WiKGConfig(HeadConfig):
    """``neighbours`` per patch (all patches where a bag has fewer, itself among them).

    ``aggregation`` combines a patch with its neighbourhood: by sum and product
    (``bi-interaction``), by sum (``gcn``) or side by side (``sage``). ``readout`` pools the patches
    of a bag.
    """

    width: int = tunable(512, choices=(128, 256, 512), ge=2)
    neighbours: int = tunable(6, choices=(4, 6, 8), ge=1)
    aggregation: Literal["bi-interaction", "gcn", "sage"] = "bi-interaction"
    readout: Literal["mean", "max", "attention"] = "mean"
    mixing: bool = True  # every patch is first averaged with the mean of its bag
    dropout: float = tunable(0.3, low=0.0, high=0.5, ge=0, lt=1)


class WiKG(HeadedMethod):
    """Head and tail embeddings, the ``k`` best tails of every head, gated attention over them.

    ``p_ij``  softmax of the ``k`` best ``h_i . t_j / sqrt(width)`` of head ``h_i``
    ``r_ij``  the edge to tail ``t_j``: ``p_ij t_j + (1 - p_ij) h_i``
    ``a_ij``  softmax over j of ``sum(t_j) sum(tanh(h_i + r_ij))``
    ``n_i``   the neighbourhood, ``sum_j a_ij t_j``
    ``x_i``   the patch afterwards, ``lrelu(L1 (h_i + n_i)) + lrelu(L2 (h_i * n_i))``

    The choice of neighbours computes blocks of at most 2^24 scores (64 MiB in float32; a row, where
    a bag has more patches) and keeps the ``k`` best of each row: time grows with ``N^2``, memory
    with ``N``. Neighbourhoods are computed for 8,192 patches at a time and recomputed for the
    gradient: one such tensor is 96 MiB at width 512 and ``k = 6``, for any N.

    ``Output.attention`` is that of the attention readout; for mean and max the same weight for
    every patch.
    """

    Config = WiKGConfig
    config: WiKGConfig
    paper = PaperCard(
        title="Dynamic Graph Representation with Knowledge-aware Attention for Histopathology "
        "Whole Slide Image Analysis",
        year=2024,
        venue="CVPR",
        link="https://arxiv.org/abs/2403.07719",
        code="WonderLandxD/WiKG @ eb3144f",
        differs=(
            "the neighbours are found block by block instead of from a full N x N matrix",
            "bags with fewer patches than neighbours use all they have (the official code raises)",
            "readout mean as in the official script; the official constructor has attention",
            "three linear layers that the official code declares and never uses are left out",
            "knowledge-aware attention multiplies two sums, as in the code; the paper reads as a "
            "dot product",
            "the epoch of lowest validation loss is tested; the official script takes the best "
            "epoch of each score separately",
            "several slides per step, each computed separately",
        ),
        steps=(
            "project (leaky ReLU)",
            "mixed with mean of slide",
            "best tails for every head",
            "knowledge-aware attention",
            "sum and product with it",
            "plain mean",
            "classify",
        ),
        losses=("cross entropy",),
    )
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "adam",
        "lr": 1e-4,
        "weight_decay": 1e-5,
        "epochs": 100,
        "batch_size": 1,
    }
    ablations = Ablations(
        components={"mixing": Component("mixing with the bag's mean", {"mixing": False})},
        variants={
            "gcn": Switch("sum aggregation", {"aggregation": "gcn"}),
            "sage": Switch("concatenating aggregation", {"aggregation": "sage"}),
            "attention": Switch("attention readout", {"readout": "attention"}),
        },
        twins=("mean",),
    )

    def __init__(self, config: WiKGConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        width = config.width
        self.project = nn.Sequential(nn.Linear(dim, width), nn.LeakyReLU())  # slope 0.01
        self.head, self.tail = nn.Linear(width, width), nn.Linear(width, width)
        self.combine = nn.ModuleList(
            nn.Linear(2 * width if config.aggregation == "sage" else width, width)
            for _ in range(2 if config.aggregation == "bi-interaction" else 1)
        )
        self.activation = nn.LeakyReLU()
        self.dropout = Dropout(config.dropout)
        self.scores = (
            nn.Sequential(nn.Linear(width, width // 2), nn.LeakyReLU(), nn.Linear(width // 2, 1))
            if config.readout == "attention"
            else None
        )
        self.norm = nn.LayerNorm(width)
        self.classifier = nn.Linear(width, self.decision.outputs)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and readout weights ``(sum N, 1)``."""
        x = self.project(batch.features)  # (sum N, width)
        if self.config.mixing:
            # (x + mean) / 2, a step of the code before the embeddings.
            x = (x + segment_mean(x, batch.offsets)[batch.segment]) / 2
        head, tail = self.head(x), self.tail(x)
        partners, counts = best_partners(head, tail, self.config.neighbours, batch.sizes)

        # Part by part and recomputed in the backward pass: (sum N, k, width) is never in memory.
        def updated(rows: Tensor) -> Tensor:
            around = self.neighbourhood(head[rows], tail[partners[rows]], counts[rows])
            return self.aggregate(head[rows], around)

        rows = torch.arange(len(x), device=x.device)
        h = self.dropout(by_parts(updated, rows, _PART))
        attention = self.readout_weights(h, batch)
        z = self.pool(h, attention, batch)
        return Output(
            logits=self.decision(self.classifier(self.norm(z))),
            attention={LEAF: attention},
            extras={"bag_features": z, "head": head, "tail": tail, "partners": partners},
        )

    def neighbourhood(self, head: Tensor, tails: Tensor, counts: Tensor) -> Tensor:
        """Return neighbourhoods ``(n, width)`` of heads with tails ``(n, k, width)``.

        ``counts`` ``(n, k)`` is true where there is a tail.
        """
        p = self.edge_weights(head, tails, counts)
        return (self.knowledge_attention(head, tails, p, counts).unsqueeze(1) @ tails).squeeze(1)

    def edge_weights(self, head: Tensor, tails: Tensor, counts: Tensor) -> Tensor:
        """Return ``p`` ``(n, k)``: softmax of the scaled products of heads and tails."""
        products = (tails @ head.unsqueeze(2)).squeeze(2) / math.sqrt(head.shape[1])  # (n, k)
        return products.masked_fill(~counts, -math.inf).softmax(1)  # a place without a tail gets 0

    def knowledge_attention(self, head: Tensor, tails: Tensor, p: Tensor, counts: Tensor) -> Tensor:
        """Return ``alpha`` ``(n, k)``: edge ``r = p t + (1 - p) h``, gate ``tanh(h + r)``."""
        p = p.unsqueeze(2)
        gate = (p * tails + (2 - p) * head.unsqueeze(1)).tanh()  # h + r = p t + (2 - p) h
        # The product of two sums, as in the code; the paper reads as a dot product.
        products = tails.sum(2) * gate.sum(2)
        return products.masked_fill(~counts, -math.inf).softmax(1)

    def aggregate(self, head: Tensor, around: Tensor) -> Tensor:
        """Combine patches and neighbourhoods ``(n, width)``; keeps the shape."""
        kind = self.config.aggregation
        if kind == "sage":
            parts = [torch.cat([head, around], 1)]
        elif kind == "gcn":
            parts = [head + around]
        else:
            parts = [head + around, head * around]
        layers = zip(self.combine, parts, strict=True)
        # (n, width)
        return torch.stack([self.activation(layer(part)) for layer, part in layers]).sum(0)

    def readout_weights(self, h: Tensor, batch: BagBatch) -> Tensor:
        """Return weights ``(sum N, 1)`` that sum to one in each bag."""
        if self.scores is None:
            return (1 / batch.offsets.diff().to(h.dtype))[batch.segment].unsqueeze(1)
        return segment_softmax(self.scores(h), batch.segment, batch.offsets)

    def pool(self, h: Tensor, attention: Tensor, batch: BagBatch) -> Tensor:
        """Pool ``(sum N, width)`` to ``(B, width)``."""
        if self.config.readout == "max":
            return segment_max(h, batch.offsets)
        return segment_matmul(attention, h, batch.segment, batch.sizes).squeeze(1)


KEPT_PRODUCTS: Final = 1 << 24  # numbers of one block of products: 64 MiB in float32


def best_partners(
    queries: Tensor, keys: Tensor, k: int, sizes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Return the packed rows ``(sum N, k')`` of the keys with the largest products.

    Also returns which of them count. The matrix of all products is never in memory.

    ``queries`` and ``keys`` are ``(sum N, dim)``; largest first, within each bag. ``k'`` is ``k``
    or the largest bag if that is smaller; places beyond the size of a bag repeat its best and do
    not count. At most :data:`KEPT_PRODUCTS` products are in memory at a time, or ``N`` of one row.
    """
    k = min(k, max(sizes))
    queries, keys = queries.detach(), keys.detach()  # the choice has no gradient
    partners, counts = [], []
    for start, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
        own, here = keys[start : start + size], min(k, size)
        # Rows per block.
        for block in torch.split(queries[start : start + size], max(1, KEPT_PRODUCTS // size)):
            best = (block @ own.T).topk(here, 1).indices + start  # (rows, here)
            partners.append(torch.cat([best, best[:, :1].expand(-1, k - here)], 1))  # k columns
        counts.append((torch.arange(k, device=keys.device) < size).expand(size, k))
    return torch.cat(partners), torch.cat(counts)
