"""ABMIL: attention pooling of instance features (Ilse, Tomczak, Welling, ICML 2018)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, Literal

import torch
from pydantic import AfterValidator
from torch import Tensor, nn

from mil_bench.base.config import tunable
from mil_bench.base.errors import ConfigError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Component, Output, PaperCard, Switch
from mil_bench.nn.entropy import EntropyConfig, entropy_term
from mil_bench.nn.headed import HEADS, HeadedMethod, HeadName, HeadOptions
from mil_bench.nn.layers import AttentionNet, Projection
from mil_bench.nn.segment import segment_matmul, segment_softmax

# The repository's bounds: outside of them the gradient of a saturated probability is zero.
_CLAMP = 1e-5


SLIDE_RECIPE: Final[dict[str, Any]] = {
    "optimizer": "adam",
    "lr": 2e-4,
    "weight_decay": 1e-5,
    "epochs": 200,
    "batch_size": 1,
    "patience": 20,
    "min_epochs": 50,
}
"""The usual recipe for whole slides (CLAM's README, without class-balanced sampling)."""


def _own_name(head: str) -> str:
    return "softmax" if head == "flat" else head


ABMILHead = Annotated[Literal["softmax", "sigmoid", HeadName], AfterValidator(_own_name)]
"""``softmax`` is ``flat`` of other methods; ``sigmoid`` is one logit, for two classes only."""


class ABMILConfig(EntropyConfig, HeadOptions):
    """Settings, with the usual widths for whole slides.

    The paper's MNIST network is ``width=500 hidden=128 gated=false dropout=0 attention_dropout=0
    head=sigmoid``. Hierarchical heads are those of :mod:`mil_bench.nn.heads`.
    """

    width: int = tunable(512, choices=(128, 256, 512), ge=1)
    hidden: int = tunable(256, choices=(64, 128, 256), ge=1)
    gated: bool = True
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)  # after the projection
    attention_dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)
    head: ABMILHead = "softmax"


class ABMIL(HeadedMethod):
    """Projection, attention over instances, linear classifier on the weighted mean.

    ``h_i = relu(W x_i)``, ``s_i = w^T (tanh(V h_i) * sigmoid(U h_i))``, ``a = softmax_N(s)``,
    ``z = sum_i a_i h_i`` (Ilse et al., eq. 7 to 9).
    """

    Config = ABMILConfig
    config: ABMILConfig
    paper = PaperCard(
        title="Attention-based Deep Multiple Instance Learning",
        year=2018,
        venue="ICML",
        link="https://arxiv.org/abs/1802.04712",
        code="AMLab-Amsterdam/AttentionDeepMIL @ eb0434b",
        differs=(
            "default widths, dropout and recipe are usual for whole slides (CLAM's, without "
            "its instance loss and balanced sampling); the repository trains its MNIST network "
            "20 epochs (Adam, lr 5e-4, weight decay 1e-4) and tests the last epoch",
            "softmax head for any number of classes; head=sigmoid is the repository's",
            "the attention layers have biases, as in the repository and unlike the paper",
        ),
        steps=("project", "gated attention", "weighted mean", "classify"),
        losses=("cross entropy",),
    )
    recipe = SLIDE_RECIPE
    safe_in_bf16: ClassVar[bool] = True
    ablations = Ablations(
        components={
            "gating": Component("gated attention", {"gated": False}),
            "dropout": Component("dropout", {"dropout": 0.0, "attention_dropout": 0.0}),
        },
        variants={"entropy": Switch("attention entropy (AEM)", {"entropy_weight": 0.1}), **HEADS},
    )

    def __init__(self, config: ABMILConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        if config.head == "sigmoid" and self.n_leaves != 2:
            raise ConfigError(
                f"method abmil: head=sigmoid requires two classes, but tree {taxonomy.name!r} has "
                f"{self.n_leaves}; use head=softmax."
            )
        self.project = Projection(dim, config.width, config.dropout)
        self.attention = AttentionNet(
            config.width, config.hidden, 1, config.gated, config.attention_dropout
        )
        # One logit: the paper's Bernoulli output.
        outputs = 1 if config.head == "sigmoid" else self.decision.outputs
        self.classifier = nn.Linear(config.width, outputs)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and attention ``(sum N, 1)``."""
        h = self.project(batch.features)  # (sum N, width)
        scores = self.attention(h)  # (sum N, 1)
        attention = segment_softmax(scores, batch.segment, batch.offsets)  # (sum N, 1), eq. 8
        z = segment_matmul(attention, h, batch.segment, batch.sizes).squeeze(1)  # (B, width)
        logits: Tensor = self.classifier(z)
        if self.config.head == "sigmoid":
            logits = torch.cat([torch.zeros_like(logits), logits], 1)  # softmax of it is sigmoid
        return Output(
            logits=self.decision(logits),
            attention={LEAF: attention},
            extras={"scores": scores, "bag_features": z},
        )

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return the head's terms; with the sigmoid head the negative log likelihood.

        That of a Bernoulli variable with the clamped probability.

        The term ``entropy`` is added where it is switched on.
        """
        entropy = entropy_term(self.config, output, batch, progress)
        if self.config.head != "sigmoid":
            return {**super().loss(output, batch, progress), **entropy}
        p = (output.logits[LEAF][:, 1]).sigmoid().clamp(_CLAMP, 1 - _CLAMP)
        y = batch.labels[LEAF].to(p.dtype)  # 0 or 1
        return {"nll": -(y * p.log() + (1 - y) * (1 - p).log()).mean(), **entropy}
