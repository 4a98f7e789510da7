"""RRT-MIL: re-embedded features, attention pooling (Tang et al., CVPR 2024)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mil_bench.ablation.declaration import Ablations, Component, Switch
from mil_bench.bags.batch import BagBatch
from mil_bench.config import tunable
from mil_bench.method import Output, PaperCard
from mil_bench.methods.abmil import SLIDE_RECIPE
from mil_bench.methods.rrt.attention import CROSS_REGIONS, CrossRegionLayer, RegionLayer
from mil_bench.nn.entropy import EntropyConfig, entropy_term
from mil_bench.nn.heads.config import HeadConfig
from mil_bench.nn.heads.method import HeadedMethod
from mil_bench.nn.init import xavier_linear
from mil_bench.nn.order import Order, Ordered
from mil_bench.nn.projection import Projection
from mil_bench.nn.segment import segment_matmul, segment_softmax
from mil_bench.taxonomy import LEAF, Taxonomy

_POOLING_WIDTH = 128


class RRTConfig(EntropyConfig, HeadConfig):
    """Re-embedding of ``width`` features by ``region_layers`` R-MSA layers and one CR-MSA layer.

    ``regions`` per side of the slide's square for R-MSA (CR-MSA has 8); ``epeg`` is the length of
    the position encoding's filter (odd), ``representatives`` the number per region in CR-MSA.
    ``order="coords"`` folds the slide by the coordinates of its patches, ``"file"`` by the rows of
    the feature file. The square so filled is CR-MSA's; with other ``regions`` than 8 that of R-MSA
    may be narrower, and its rows are then not rows of the slide.
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
    shortcut: bool = False  # around the whole re-embedding
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
        """``(sum N, dim)`` -> ``(sum N, 1)``."""
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
            "one epeg and representatives for all; the repository tunes them per data set",
            "early stopping as for TCGA there (patience 20, not before epoch 70; Camelyon16 has 30 "
            "and 130), by validation loss instead of AUC",
            "what is reproduced is the code: its README warns that it does not give all numbers of "
            "the paper",
            "order=coords folds the slide by coordinates instead of rows of the file",
            "several slides per step, each computed alone",
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
        xavier_linear(self)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.xavier_normal_(layer.weight)

    def forward(self, batch: BagBatch) -> Output:
        """Logits of the head and pooling attention ``(sum N, 1)``."""
        ordered = Ordered.of(batch, self.config.order, multiple=CROSS_REGIONS)
        h = self.encode(self.project(ordered.batch.features), batch.sizes)
        scores = self.scores(h)
        attention = segment_softmax(scores, batch.segment, batch.offsets)
        z = segment_matmul(attention, h, batch.segment, batch.sizes).squeeze(1)
        return Output(
            logits=self.decision(self.classifier(z)),
            attention={LEAF: ordered.restored(attention)},
            extras={"scores": scores, "features": h},
        )

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Terms of the head, and ``entropy`` if switched on."""
        entropy = entropy_term(self.config, output, batch, progress)
        return {**super().loss(output, batch, progress), **entropy}

    def encode(self, x: Tensor, sizes: tuple[int, ...]) -> Tensor:
        """Re-embedded features ``(sum N, width)``; bags go through the layers sorted by size."""
        order = sorted(range(len(sizes)), key=sizes.__getitem__)
        bags = x.split_with_sizes(list(sizes))
        rows = torch.cat([bags[b] for b in order]) if len(sizes) > 1 else x
        ranked = [sizes[b] for b in order]
        for layer in self.layers:
            rows = layer(rows, ranked)
        done = rows.split_with_sizes(ranked)
        place = sorted(range(len(sizes)), key=order.__getitem__)
        h = torch.cat([done[p] for p in place])
        embedded: Tensor = self.norm(h + x if self.config.shortcut else h)
        return embedded
