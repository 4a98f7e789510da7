"""Probe: a linear or small network on embeddings of whole slides, a bag of one."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import nn

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Output, PaperCard, Switch
from mil_bench.nn.headed import HeadConfig, HeadedMethod
from mil_bench.nn.layers import Dropout
from mil_bench.nn.segment import segment_mean


class ProbeConfig(HeadConfig):
    """``hidden`` width of one layer in front of the classifier; without it the probe is linear.

    ``dropout`` follows that layer.
    """

    hidden: int | None = tunable(None, choices=(None, 128, 512), ge=1)
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)


class Probe(HeadedMethod):
    """``W z + b`` of a slide's embedding ``z``, or with one hidden layer (ReLU, dropout).

    The features of a slide encoder (TITAN, PRISM, GigaPath, ...) are bags of one. In a bag of
    several the mean is the embedding: of patch features, the plainest slide embedding there is.
    ``Output.attention`` is the same for every instance.
    """

    Config = ProbeConfig
    config: ProbeConfig
    paper = PaperCard(
        title="Understanding intermediate layers using linear classifier probes",
        year=2016,
        venue="arXiv",
        link="https://arxiv.org/abs/1610.01644",
        differs=(
            "the features are those of a slide encoder, not of a layer; a bag of several is "
            "averaged",
            "trained by gradient descent with the harness's early stopping, not to convergence",
        ),
        steps=("plain mean (bags of one)", "classify"),
        losses=("cross entropy",),
    )
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "adamw",
        "lr": 1e-3,
        "weight_decay": 1e-4,
        "epochs": 200,
        "batch_size": 16,
        "patience": 20,
        "min_epochs": 50,
    }
    ablations = Ablations(variants={"mlp": Switch("one hidden layer", {"hidden": 512})})

    def __init__(self, config: ProbeConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        width = config.hidden
        self.hidden = (
            nn.Sequential(nn.Linear(dim, width), nn.ReLU(), Dropout(config.dropout))
            if width
            else nn.Identity()
        )
        self.classifier = nn.Linear(width or dim, self.decision.outputs)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and even weights ``(sum N, 1)``."""
        # (B, outputs)
        numbers = self.classifier(self.hidden(segment_mean(batch.features, batch.offsets)))
        weights = 1 / batch.offsets.diff().to(numbers.dtype)
        return Output(self.decision(numbers), {LEAF: weights[batch.segment].unsqueeze(1)})
