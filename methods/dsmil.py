"""DSMIL: dual-stream multiple instance learning (Li, Li, Eliceiri, CVPR 2021)."""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import (
    Ablations,
    Component,
    Method,
    MethodConfig,
    Output,
    PaperCard,
    Switch,
)
from mil_bench.contract.numerics import full_precision
from mil_bench.nn.layers import orthogonal_layers
from mil_bench.nn.segment import segment_map, segment_matmul, segment_softmax, segment_topk
from mil_bench.nn.sequences import by_parts


class DSMILConfig(MethodConfig):
    """``query`` and ``value`` are the layers of the bag stream.

    ``max_weight`` is the share of the instance stream in the loss, ``1 - max_weight`` that of the
    bag stream. With 0 the instance classifier, which picks the critical instances, is untrained.
    ``negative_class`` declares that the first leaf means *none of the others*: it gets no output
    and an all-zero target (one output for two classes, as the official code on CAMELYON16).
    """

    query_dim: int = tunable(128, choices=(32, 64, 128, 256), ge=1)
    query: Literal["mlp", "linear"] = "mlp"  # linear: the paper and the code before 2022
    value: Literal["identity", "relu"] = tunable("identity", choices=("identity", "relu"))
    loss: Literal["bce", "ce"] = "bce"
    max_weight: float = tunable(0.5, low=0.1, high=0.9, ge=0, lt=1)
    negative_class: bool = False
    init: Literal["orthogonal", "default"] = "orthogonal"


class DSMIL(Method):
    """Max pooling of instance scores, and attention to the instances that won it.

    Instance stream: ``c_i = W x_i + b``; per class the critical instance ``m = argmax_i c_i``.
    Bag stream: ``a_i = softmax_N(q(x_i) . q(x_m) / sqrt(query_dim))`` and
    ``b = sum_i a_i v(x_i)`` per class (eq. 4 to 6), scored by a map that mixes the bag vectors of
    all classes. The critical query carries gradient, its index does not.

    Logits are those of the bag stream. Trained with BCE they are log odds of independent classes;
    their softmax is the probability of each class given that exactly one is present.

    Cost with D = 1024 and 7 classes: 0.21 M parameters, 0.33 MFLOP per patch
    (learned values: 1.25 M, 2.42 MFLOP), linear in N.
    ``Output.attention`` is ``(sum N, outputs)``.
    """

    Config = DSMILConfig
    config: DSMILConfig
    paper = PaperCard(
        title="Dual-stream Multiple Instance Learning Network for Whole Slide Image Classification "
        "with Self-supervised Contrastive Learning",
        year=2021,
        venue="CVPR",
        link="https://arxiv.org/abs/2011.08939",
        code="binli123/dsmil-wsi @ 80465ed",
        differs=(
            "an output per leaf class; negative_class=true drops that of the first leaf, as the "
            "official code does on datasets with a negative class",
            "probabilities are the softmax of the bag logits (classes are mutually exclusive) "
            "instead of a sigmoid per class; no decision thresholds are tuned on the evaluated "
            "fold",
            "only the bag stream is scored, as in the official default (--average adds the "
            "instance stream)",
            "Adam's betas are 0.9, 0.999 (official 0.5, 0.9) and the cosine ends at 0 (5e-6)",
            "no dropout, which is the official default",
            "the epoch of lowest validation log loss is tested (official: of the highest sum of "
            "AUCs and accuracy)",
            "several bags per step average the loss over the bags",
        ),
        steps=(
            "score patches for every class",
            "critical patch of every class",
            "attention by likeness to it",
            "weighted mean for every class",
            "all means scored together",
        ),
        losses=("binary cross entropy of slide", "binary cross entropy of critical patches"),
    )
    head_layers: ClassVar[tuple[str, ...]] = ("instance", "scorer")
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "adam",
        "lr": 1e-4,
        "weight_decay": 1e-3,
        "epochs": 50,
        "batch_size": 1,
        "schedule": "cosine",
        "patience": 10,
    }
    ablations = Ablations(
        components={"max": Component("loss of the instance stream", {"max_weight": 0.0})},
        variants={
            "linear_query": Switch("linear query", {"query": "linear"}),
            "value": Switch("learned values", {"value": "relu"}),
            "ce": Switch("cross entropy", {"loss": "ce"}),
        },
        twins=("max",),
    )

    def __init__(self, config: DSMILConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        # A negative class has no output.
        outputs, width = self.n_leaves - config.negative_class, config.query_dim
        self.instance = nn.Linear(dim, outputs)
        self.query = nn.Sequential(nn.Linear(dim, width))
        if config.query == "mlp":
            self.query.extend([nn.ReLU(), nn.Linear(width, width), nn.Tanh()])
        self.value = nn.Sequential()
        if config.value == "relu":
            self.value.extend([nn.Linear(dim, dim), nn.ReLU()])
        # Every class reads the vectors of all.
        self.scorer = nn.Conv1d(outputs, outputs, kernel_size=dim)
        if config.init == "orthogonal":
            orthogonal_layers(self)

    def forward(self, batch: BagBatch) -> Output:
        """Return leaf logits ``(B, C)`` and attention ``(sum N, outputs)``."""
        x = batch.features
        instance = self.instance(x)  # (sum N, outputs)
        # (B, outputs): the first of equal maxima, as a stable sort gives it; no gradient.
        critical = segment_topk(instance.detach(), 1, batch.segment, batch.sizes)[:, 0]
        queries = by_parts(self.query, x)  # (sum N, query_dim)
        # Divided by the root of the query width, not of D. The critical query is not detached.
        keys = queries[critical].mT / sqrt(self.config.query_dim)  # (B, query_dim, outputs)
        scores = segment_map(queries, keys, batch.sizes)  # (sum N, outputs)
        attention = segment_softmax(scores, batch.segment, batch.offsets)
        values = by_parts(self.value, x)  # (sum N, D)
        pooled = segment_matmul(attention, values, batch.segment, batch.sizes)  # (B, outputs, D)
        bag = self.scorer(pooled).squeeze(2)  # (B, outputs)
        return Output(
            logits={LEAF: self._all_classes(bag)},
            attention={LEAF: attention},
            extras={
                "instance": instance,
                "critical": critical,
                "scores": scores,
                "bag_features": pooled,
                "bag": bag,
                "max": instance.gather(0, critical),  # (B, outputs)
            },
        )

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return ``(1 - max_weight) * bag`` and ``max_weight * max``, one loss for each stream."""
        shares = {"bag": 1 - self.config.max_weight, "max": self.config.max_weight}
        labels = batch.labels[LEAF]
        return {
            name: share * self._stream_loss(output.extras[name], labels)
            for name, share in shares.items()
            if share  # without its share a term is not listed
        }

    def _stream_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Average the loss of ``(B, outputs)`` with ``(B,)`` over bags; BCE over outputs too."""
        if self.config.loss == "ce":
            return self.cross_entropy(self._all_classes(logits), labels, LEAF)
        logits = full_precision(logits)
        classes = torch.eye(self.n_leaves, dtype=logits.dtype, device=logits.device)
        # Without the column of a negative class: its bags have all-zero targets.
        target = classes[labels, self.n_leaves - logits.shape[1] :]
        losses = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        weight = self._class_weights.get(LEAF)
        if weight is not None:
            # The weight of the bag's class, for all its outputs.
            losses = losses * weight.to(losses)[labels].unsqueeze(1)
        return losses.mean()

    def _all_classes(self, logits: Tensor) -> Tensor:
        """Return ``(B, C)`` of ``(B, outputs)``: a negative class has the constant log odds 0."""
        if not self.config.negative_class:
            return logits
        return torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)
