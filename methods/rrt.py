"""RRT-MIL: re-embedded features, attention pooling (Tang et al., CVPR 2024)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import groupby
from math import isqrt
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Component, Output, PaperCard, Switch
from mil_bench.methods.abmil import SLIDE_RECIPE
from mil_bench.nn.entropy import EntropyConfig, entropy_term
from mil_bench.nn.headed import HeadConfig, HeadedMethod
from mil_bench.nn.layers import Dropout, Projection, xavier_linear
from mil_bench.nn.order import Order, Ordered
from mil_bench.nn.segment import segment_matmul, segment_softmax
from mil_bench.nn.sequences import depthwise, dot_product_attention, order_by_size

_POOLING_WIDTH = 128


class RRTConfig(EntropyConfig, HeadConfig):
    """Re-embedding of ``width`` features by ``region_layers`` R-MSA layers and one CR-MSA layer.

    ``regions`` per side of the slide's square for R-MSA (CR-MSA has 8); ``epeg`` is the length of
    the position encoding's filter (odd), ``representatives`` the number per region in CR-MSA.
    ``order="coords"`` folds the slide by the coordinates of its patches, ``"file"`` by the rows of
    the feature file. This fills the square of CR-MSA. With other ``regions`` than 8 the square of
    R-MSA may be narrower, and its rows are then not rows of the slide.
    """

    width: int = tunable(512, choices=(128, 256, 512), ge=8)
    heads: int = Field(8, ge=1)
    region_layers: int = tunable(1, choices=(1, 2), ge=0)
    regions: int = tunable(8, choices=(4, 8), ge=1)
    epeg: int | None = tunable(15, choices=(9, 13, 15, 21), ge=1)
    cross_region: bool = True
    representatives: int = tunable(3, choices=(1, 3, 5), ge=1)
    cross_heads: int = Field(8, ge=1)
    routing_mlp: bool = False
    shortcut: bool = False  # around the complete re-embedding
    activation: Literal["tanh", "relu"] = "tanh"  # of the pooling attention
    gated: bool = False
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)  # after the projection
    attention_dropout: float = Field(0.1, ge=0, lt=1)
    order: Order = "file"

    @model_validator(mode="after")
    def _fits(self) -> RRTConfig:
        if self.width % self.heads or self.width % self.cross_heads:
            raise ValueError(
                f"width {self.width} must be a multiple of heads {self.heads} and of cross_heads "
                f"{self.cross_heads}"
            )
        if self.epeg is not None and self.epeg % 2 == 0:
            raise ValueError(f"epeg {self.epeg} must be odd")
        return self


class PoolingScores(nn.Module):
    """Attention scores ``w act(V h)``, or gated ``w (act(V h) * sigmoid(U h))``; no biases."""

    def __init__(self, dim: int, activation: str, gated: bool) -> None:
        super().__init__()
        self.value = nn.Linear(dim, _POOLING_WIDTH, bias=False)
        self.gate = nn.Linear(dim, _POOLING_WIDTH, bias=False) if gated else None
        self.score = nn.Linear(_POOLING_WIDTH, 1, bias=False)
        self.activation = nn.Tanh() if activation == "tanh" else nn.ReLU()

    def forward(self, h: Tensor) -> Tensor:
        """Score instances ``(sum N, dim)`` as ``(sum N, 1)``."""
        hidden = self.activation(self.value(h))
        if self.gate is not None:
            hidden = hidden * self.gate(h).sigmoid()
        scores: Tensor = self.score(hidden)
        return scores


class RRT(HeadedMethod):
    """Projection, attention within and across regions, attention pooling, linear classifier.

    Cost grows with ``N^2 / regions^2`` in time; memory is linear in N, because no attention matrix
    of R-MSA is stored where ``scaled_dot_product_attention`` has a fused kernel.
    """

    Config = RRTConfig
    config: RRTConfig
    order_dependent: ClassVar[bool] = True
    paper = PaperCard(
        title="Feature Re-Embedding: Towards Foundation Model-Level Performance in Computational "
        "Pathology",
        year=2024,
        venue="CVPR",
        link="https://arxiv.org/abs/2402.17228",
        code="DearCaat/RRT-MIL @ 7ecbdfb",
        differs=(
            "any feature dimension and width; the official first layer is wired to 512",
            "activation tanh as in every published command; the official constructor has ReLU",
            "the bias of the position encoding is left out: it cancels in the softmax",
            "one epeg and representatives for all; the repository tunes them per dataset",
            "early stopping as in its TCGA setting (patience 20, not before epoch 70; Camelyon16 "
            "has 30 and 130), by validation loss instead of AUC",
            "this reproduces the code, whose README warns that it does not give all numbers of "
            "the paper",
            "order=coords folds the slide by coordinates instead of rows of the file",
            "several slides per step, each computed separately",
        ),
        steps=(
            "project",
            "attention within regions",
            "attention across regions",
            "plain attention",
            "weighted mean",
            "classify",
        ),
        losses=("cross entropy",),
    )
    recipe: ClassVar[dict[str, Any]] = {**SLIDE_RECIPE, "schedule": "cosine", "min_epochs": 70}
    ablations = Ablations(
        components={
            "regions": Component("attention within regions", {"region_layers": 0}),
            "epeg": Component("position encoding", {"epeg": None}, within="regions"),
            "cross": Component("attention across regions", {"cross_region": False}),
        },
        variants={
            "coords": Switch("grid by coordinates", {"order": "coords"}),
            "shortcut": Switch("shortcut around the encoder", {"shortcut": True}),
            "entropy": Switch("attention entropy (AEM)", {"entropy_weight": 0.1}),
        },
        twins=("abmil",),
    )

    def __init__(self, config: RRTConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        width, drop = config.width, config.attention_dropout
        self.project = Projection(dim, width, config.dropout)
        self.layers = nn.ModuleList(
            RegionLayer(width, config.heads, drop, config.epeg, config.regions)
            for _ in range(config.region_layers)
        )
        if config.cross_region:
            self.layers.append(
                CrossRegionLayer(
                    width, config.cross_heads, drop, config.representatives, config.routing_mlp
                )
            )
        self.norm = nn.LayerNorm(width)
        self.scores = PoolingScores(width, config.activation, config.gated)
        self.classifier = nn.Linear(width, self.decision.outputs)
        # Xavier for every linear layer and filter, as officially; the routing matrix keeps its own.
        xavier_linear(self)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_normal_(layer.weight)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and pooling attention ``(sum N, 1)``."""
        ordered = Ordered.of(batch, self.config.order, multiple=CROSS_REGIONS)  # CR-MSA's square
        h = self.encode(self.project(ordered.batch.features), batch.sizes)  # (sum N, width)
        scores = self.scores(h)
        attention = segment_softmax(scores, batch.segment, batch.offsets)
        z = segment_matmul(attention, h, batch.segment, batch.sizes).squeeze(1)  # (B, width)
        return Output(
            logits=self.decision(self.classifier(z)),
            attention={LEAF: ordered.restored(attention)},
            extras={"scores": scores, "features": h},
        )

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return the head's terms, and ``entropy`` if switched on."""
        entropy = entropy_term(self.config, output, batch, progress)
        return {**super().loss(output, batch, progress), **entropy}

    def encode(self, x: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """Return re-embedded features ``(sum N, width)``."""
        order, place = order_by_size(sizes)
        bags = x.split_with_sizes(list(sizes))
        rows = torch.cat([bags[b] for b in order]) if len(sizes) > 1 else x
        ranked = [sizes[b] for b in order]
        for layer in self.layers:
            rows = layer(rows, ranked)
        done = rows.split_with_sizes(ranked)
        h = torch.cat([done[p] for p in place])
        # The shortcut goes around, the norm comes last.
        embedded: Tensor = self.norm(h + x if self.config.shortcut else h)
        return embedded


CROSS_REGIONS = 8  # per side, whatever R-MSA uses


class RegionAttention(nn.Module):
    """Multi-head self-attention within sequences of equal length, with position encoding or not.

    EPEG adds to the logits their own convolution along the queries. Logits are linear in the
    queries, so the queries are convolved instead and no logit is ever stored. The bias of that
    convolution is the same for all keys and cancels in the softmax; there is none here.
    """

    def __init__(self, dim: int, heads: int, dropout: float, epeg: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)
        self.epeg = nn.Conv2d(heads, heads, (epeg, 1), groups=heads, bias=False) if epeg else None

    def forward(self, x: Tensor) -> Tensor:
        """Attend within each of ``(count, n, dim)``; keeps the shape."""
        q, k, v = self.qkv(x).chunk(3, -1)  # (count, n, dim)
        if self.epeg is not None:
            # One filter per head.
            taps = self.epeg.weight.repeat_interleave(x.shape[-1] // self.heads, 0)
            # Logits plus their convolution along the queries = (q + conv(q)) k^T.
            q = q + depthwise(q.unsqueeze(2), taps).squeeze(2).to(q.dtype)
        # (count, heads, n, d)
        heads = [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v)]
        mixed = dot_product_attention(*heads)
        rows: Tensor = self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return rows


class RegionLayer(nn.Module):
    """``x + R-MSA(norm(x))``: attention within each of ``regions x regions`` squares."""

    def __init__(
        self, dim: int, heads: int, dropout: float, epeg: int | None, regions: int
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = RegionAttention(dim, heads, dropout, epeg)
        self.regions = regions

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Re-embed packed rows ``(sum N, dim)``; keeps the shape."""
        # The norm comes before the padding, so rows of padding are zero and not the norm's bias.
        return x + by_regions(self.attend, self.norm(x), sizes, self.regions)

    def attend(self, tiles: Tensor) -> Tensor:
        """Attend within the regions of ``(count, g^2, p, dim)``; keeps the shape."""
        rows: Tensor = self.attention(tiles.flatten(0, 1))  # every region is a sequence
        return rows.view(tiles.shape)


class CrossRegionLayer(nn.Module):
    """``x + CR-MSA(norm(x))``: ``k`` representatives per region attend to those of all regions.

    With routing logits ``phi``, a representative is the mean over its region, weighted by the
    softmax over positions. Its output returns to a position with the softmax over representatives
    times the min-max scaled logit as weight.
    """

    def __init__(self, dim: int, heads: int, dropout: float, k: int, mlp: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = RegionAttention(dim, heads, dropout)
        self.phi: nn.Parameter | nn.Sequential
        if mlp:
            self.phi = nn.Sequential(
                nn.Linear(dim, dim // 4, bias=False), nn.Tanh(), nn.Linear(dim // 4, k, bias=False)
            )
        else:
            self.phi = nn.Parameter(torch.empty(dim, k))
            nn.init.kaiming_uniform_(self.phi, a=math.sqrt(5))

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Re-embed packed rows ``(sum N, dim)``; keeps the shape."""
        return x + by_regions(self.attend, self.norm(x), sizes, CROSS_REGIONS)

    def attend(self, tiles: Tensor) -> Tensor:
        """Attend across the regions of ``(count, g^2, p, dim)``; keeps the shape."""
        phi = self.phi
        logits = phi(tiles) if isinstance(phi, nn.Module) else tiles @ phi  # (count, g^2, p, k)
        means = logits.softmax(2).mT @ tiles  # (count, g^2, k, dim)
        # Representatives of the same index attend to each other, over all regions.
        across = self.attention(means.transpose(1, 2).flatten(0, 1))  # (count * k, g^2, dim)
        across = across.unflatten(0, (len(tiles), -1)).transpose(1, 2)  # (count, g^2, k, dim)
        # The official guard: a region of equal logits has no range.
        low, high = logits.amin(2, keepdim=True), logits.amax(2, keepdim=True)
        back = (logits - low) / (high - low + 1e-8) * logits.softmax(3)
        rows: Tensor = back.to(across.dtype) @ across  # (count, g^2, p, dim)
        return rows


def side_of(n: int, regions: int) -> int:
    """Return the side of the smallest square for ``n`` rows that ``regions`` per side divide."""
    return -(-(isqrt(n - 1) + 1) // regions) * regions  # ceil(sqrt(n)), rounded up to a multiple


def by_regions(
    layer: Callable[[Tensor], Tensor], x: Tensor, sizes: Sequence[int], regions: int
) -> Tensor:
    """Apply ``layer`` to all regions of packed rows ``(sum N, dim)``; keeps the shape.

    Every bag is padded with zero rows at the end to ``S^2`` and folded row by row to ``S x S``. It
    is cut into ``regions x regions`` squares; padding takes part. ``layer`` maps ``(count, g^2, p,
    dim)`` to the same shape: slides, their regions, positions. Neighbours with equal sides are
    taken together, so sorted bags give the fewest calls.
    """
    embedded: list[Tensor] = []
    bags = x.split_with_sizes(list(sizes))
    for side, run in groupby(bags, lambda bag: side_of(len(bag), regions)):
        group = list(run)
        # Zero rows at the end, not masked, as in the official code.
        squares = torch.stack([F.pad(bag, (0, 0, 0, side * side - len(bag))) for bag in group])
        rows = joined(layer(cut(squares, regions)), regions)
        # Padding cut.
        embedded += [square[: len(bag)] for square, bag in zip(rows, group, strict=True)]
    return torch.cat(embedded)


def cut(squares: Tensor, regions: int) -> Tensor:
    """Cut squares ``(count, S^2, dim)`` into regions ``(count, g^2, (S / g)^2, dim)``."""
    count, positions, dim = squares.shape
    r = isqrt(positions) // regions
    # (count, g, g, r, r, dim)
    tiles = squares.view(count, regions, r, regions, r, dim).transpose(2, 3)
    return tiles.reshape(count, regions * regions, r * r, dim)


def joined(tiles: Tensor, regions: int) -> Tensor:
    """Undo :func:`cut`."""
    count, _, positions, dim = tiles.shape
    r = isqrt(positions)
    squares = tiles.view(count, regions, regions, r, r, dim).transpose(2, 3)
    return squares.reshape(count, -1, dim)
