"""SiMLP: the mean of a slide's features and a small network (Li et al., 2025)."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor, nn

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Component, Output, PaperCard
from mil_bench.methods.abmil import SLIDE_RECIPE
from mil_bench.nn.headed import HeadConfig, HeadedMethod
from mil_bench.nn.layers import Projection
from mil_bench.nn.segment import segment_matmul


class SiMLPConfig(HeadConfig):
    """The network is ``D -> width`` (ReLU, dropout) ``-> classes``; without ``mlp``, linear."""

    mlp: bool = True
    width: int = tunable(512, choices=(128, 256, 512), ge=1)
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)


class SiMLP(HeadedMethod):
    """``f(mean_i x_i)``. Unlike ``mean``, which classifies every patch, it averages first.

    Cost with D = 1024 and 7 classes: 0.53 M parameters, 0.002 MFLOP per patch (the mean), linear in
    N. ``Output.attention`` ``(sum N, 1)`` is the weight ``1/N`` that every
    patch has.
    """

    Config = SiMLPConfig
    config: SiMLPConfig
    paper = PaperCard(
        title="Can We Simplify Slide-level Fine-tuning of Pathology Foundation Models?",
        year=2025,
        venue="arXiv",
        link="https://arxiv.org/abs/2502.20823",
        differs=(
            "mean pooling and a network of one hidden layer as the paper describes (no golden "
            "vectors); width, dropout and recipe are those of the other baselines here",
        ),
        steps=("plain mean", "project the mean", "classify"),
        losses=("cross entropy",),
    )
    recipe: ClassVar[dict[str, Any]] = SLIDE_RECIPE
    ablations = Ablations(
        components={"mlp": Component("hidden layer", {"mlp": False})}, twins=("mean",)
    )

    def __init__(self, config: SiMLPConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.hidden = Projection(dim, config.width, config.dropout) if config.mlp else nn.Identity()
        self.classifier = nn.Linear(config.width if config.mlp else dim, self.decision.outputs)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and attention ``(sum N, 1)``."""
        share = batch.offsets.diff().to(batch.features.dtype).reciprocal()  # 1 / N of every bag
        weights: Tensor = share[batch.segment].unsqueeze(1)
        # (B, dim)
        means = segment_matmul(weights, batch.features, batch.segment, batch.sizes).squeeze(1)
        numbers = self.classifier(self.hidden(means))
        return Output(logits=self.decision(numbers), attention={LEAF: weights})
