"""Patch-GCN: convolutions over the graph of neighbouring patches (Chen et al., MICCAI 2021)."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.graph import batch_edges
from mil_bench.contract.method import Ablations, Component, Output, PaperCard, Switch
from mil_bench.nn.entropy import EntropyConfig, entropy_term
from mil_bench.nn.headed import HeadConfig, HeadedMethod
from mil_bench.nn.layers import AttentionNet, Dropout, Projection
from mil_bench.nn.order import needed_coords
from mil_bench.nn.segment import segment_matmul, segment_softmax

with warnings.catch_warnings():  # what it uses of torch is deprecated there
    warnings.simplefilter("ignore", FutureWarning)
    from torch_geometric.nn import GENConv

_LAYER_DROPOUT = 0.1


class PatchGCNConfig(EntropyConfig, HeadConfig):
    """``width`` of a patch's features; the slide's are ``layers + 1`` times as wide.

    ``k`` patches are the neighbours of each; ``layers`` convolutions follow one another (the
    official code calls three of them four), and without any there is no context.
    """

    width: int = tunable(128, choices=(32, 64, 128), ge=1)
    k: int = tunable(8, choices=(4, 8, 16), ge=1)
    layers: int = tunable(3, low=1, high=4, ge=0)
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)


class GraphLayer(nn.Module):
    """``dropout(x + relu(norm(conv(x))))``; the first layer of a model is ``conv(x)`` only.

    The convolution is GENConv (Li et al., 2020): messages ``relu(x_j) + 1e-7``, their softmax mean
    per channel with a learned temperature, plus ``x_i``, through two linear layers.
    """

    def __init__(self, width: int, first: bool) -> None:
        super().__init__()
        # Softmax aggregation with a learned inverse temperature (1 at the start); then two linear
        # layers with a layer norm between them.
        self.conv = GENConv(width, width, aggr="softmax", learn_t=True, norm="layer", num_layers=2)
        self.norm = None if first else nn.LayerNorm(width)
        self.dropout = Dropout(_LAYER_DROPOUT)

    def forward(self, x: Tensor, edges: Tensor) -> Tensor:
        """Return ``(sum N, width)``, ``(2, E)`` -> ``(sum N, width)``."""
        y: Tensor = self.conv(x, edges)
        if self.norm is None:
            return y
        rows: Tensor = self.dropout(x + self.norm(y).relu())
        return rows


class PatchGCN(HeadedMethod):
    """Projection, graph convolutions, gated attention over the features of all layers.

    The graph joins every patch with its nearest ones on the slide, exactly, and is made once per
    bag. As in the official code a patch hears from those that have it among their nearest, not
    from its own nearest. A slide whose features have no coordinates is refused.
    """

    Config = PatchGCNConfig
    config: PatchGCNConfig
    needs_coords: ClassVar[bool] = True
    paper = PaperCard(
        title="Whole Slide Images are 2D Point Clouds: Context-Aware Survival Prediction using "
        "Patch-based Graph Convolutional Networks",
        year=2021,
        venue="MICCAI",
        link="https://arxiv.org/abs/2107.13048",
        code="mahmoodlab/Patch-GCN @ 823adda",
        differs=(
            "classification by cross entropy on the outputs that the paper reads as hazards",
            "exact nearest neighbours, ties by coordinates; the official graph is approximate",
            "bags of k patches or fewer join every patch with all others",
            "any width; the official first layer is wired to 128",
            "a layer norm that the official first layer has and never uses is left out",
            "the epoch of lowest validation loss is tested; the repository takes the last of 20",
        ),
        steps=(
            "project",
            "convolutions over neighbours",
            "all layers side by side, mixed",
            "gated attention",
            "weighted mean",
            "projected again",
            "classify",
        ),
        losses=("cross entropy",),
    )
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "adam",
        "lr": 2e-4,
        "weight_decay": 1e-5,
        "epochs": 20,
        "batch_size": 1,
        "accumulate": 32,
        "sampling": "balanced",
    }
    ablations = Ablations(
        components={"graph": Component("graph convolutions", {"layers": 0})},
        variants={
            "one": Switch("one convolution", {"layers": 1}),
            "four": Switch("four neighbours", {"k": 4}),
            "entropy": Switch("attention entropy (AEM)", {"entropy_weight": 0.1}),
        },
        twins=("abmil",),
    )

    def __init__(self, config: PatchGCNConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        wide = config.width * (config.layers + 1)  # features of the projection and of every layer
        self.project = Projection(dim, config.width, config.dropout)
        self.layers = nn.ModuleList(
            GraphLayer(config.width, first=layer == 0) for layer in range(config.layers)
        )
        self.mix = Projection(wide, wide, config.dropout)
        self.attention = AttentionNet(wide, wide, 1, gated=True, dropout=config.dropout)
        # Officially there, between pooling and classifier.
        self.merge = Projection(wide, wide, config.dropout)
        self.classifier = nn.Linear(wide, self.decision.outputs)

    @property
    def neighbours(self) -> int:
        """``k``."""
        return self.config.k

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and attention ``(sum N, 1)``.

        Raises ``FeatureError`` where the features have no coordinates.
        """
        nodes = self.nodes(batch, self.edges(batch))
        h = self.mix(nodes)  # (sum N, wide)
        scores = self.attention(h)  # (sum N, 1)
        attention = segment_softmax(scores, batch.segment, batch.offsets)
        z = segment_matmul(attention, h, batch.segment, batch.sizes).squeeze(1)  # (B, wide)
        return Output(
            logits=self.decision(self.classifier(self.merge(z))),
            attention={LEAF: attention},
            extras={"scores": scores, "nodes": nodes},
        )

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return the head's terms, and ``entropy`` if switched on."""
        entropy = entropy_term(self.config, output, batch, progress)
        return {**super().loss(output, batch, progress), **entropy}

    def edges(self, batch: BagBatch) -> Tensor:
        """Return the edges ``(2, E)`` of the batch, or edges made of its coordinates."""
        if batch.edges is not None:
            return batch.edges
        coords = needed_coords(batch, "patch-gcn", "use a method without a graph")
        return batch_edges(coords, batch, self.config.k)

    def nodes(self, batch: BagBatch, edges: Tensor) -> Tensor:
        """Return the features of all layers side by side, ``(sum N, width * (layers + 1))``."""
        features = [self.project(batch.features)]
        for layer in self.layers:
            features.append(layer(features[-1], edges))  # reads the layer before
        return torch.cat(features, 1)
