"""CLAM: attention pooling with an instance clustering loss (Lu et al., Nature BME 2021)."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import replace
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Component, Output, PaperCard, Switch
from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.entropy import EntropyConfig, entropy_term
from mil_bench.nn.headed import HEADS, HeadConfig, HeadedMethod
from mil_bench.nn.layers import AttentionNet, Projection, xavier_linear
from mil_bench.nn.segment import segment_matmul, segment_softmax, segment_topk, within

_ATTENTION_DROPOUT = 0.25  # fixed in the official code, whatever the other dropout


class CLAMConfig(EntropyConfig, HeadConfig):
    """``width`` of the projected features; ``size`` sets the attention's hidden width.

    ``small`` is half of ``width`` and ``big`` three quarters (512 -> 256 or 384); ``hidden``
    overrides it. ``init`` is PyTorch's default (CLAM since April 2024) or the paper's Xavier.
    """

    width: int = tunable(512, choices=(128, 256, 512), ge=1)
    size: Literal["small", "big"] = "small"
    hidden: int | None = Field(None, ge=1)
    gated: bool = True
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)
    k_sample: int = tunable(8, choices=(2, 4, 8, 16), ge=1)
    bag_weight: float = tunable(0.7, low=0.3, high=1.0, ge=0, le=1)
    instance_loss: Literal["svm", "ce"] = "svm"
    subtyping: bool = True  # the classes exclude each other
    init: Literal["default", "xavier"] = "default"

    @property
    def hidden_width(self) -> int:
        """Hidden width of the attention network."""
        return self.hidden or self.width * (2 if self.size == "small" else 3) // 4


SINGLE = PaperCard(
    title="Data-efficient and weakly supervised computational pathology on whole-slide images",
    year=2021,
    venue="Nature Biomedical Engineering",
    link="https://doi.org/10.1038/s41551-020-00682-w",
    code="mahmoodlab/CLAM @ 53e2409",
    differs=(
        "bags smaller than k_sample use k = N (the official code raises); below 2k the "
        "positive and negative sets overlap, as in the official code",
        "instance loss svm and lr 2e-4 as in the paper and README, balanced sampling as in the "
        "README (defaults of the official program: cross entropy, 1e-4, no balancing)",
        "subtyping is on, since leaf classes are mutually exclusive; in the official code it is "
        "off by default",
        "PyTorch's initial weights, as in the code since April 2024; init=xavier is the paper's",
        "without subtyping the instance classifiers of absent classes get zero gradients; "
        "the official optimiser skips them",
        "several bags per step average both losses over the bags",
    ),
    steps=("project", "gated attention", "weighted mean", "classify"),
    losses=("cross entropy", "clustering of top and bottom patches"),
)

MULTIPLE = replace(
    SINGLE,
    steps=(
        "project",
        "gated attention per class",
        "weighted mean per class",
        "a scorer per class",
    ),
)


class _CLAM(HeadedMethod):
    """What both forms share; they differ in the number of attention branches and the classifier.

    The instance loss of a bag with label y takes k = min(``k_sample``, N) instances. The k most
    attended of branch y are positive evidence for instance classifier y, the k least attended are
    negative. With ``subtyping`` the k most attended of every other branch are negative evidence
    for that branch's classifier. Selection has no gradient, the selected features do.
    """

    config: CLAMConfig
    Config = CLAMConfig
    paper = SINGLE
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "adam",
        "lr": 2e-4,
        "weight_decay": 1e-5,
        "epochs": 200,
        "batch_size": 1,
        "sampling": "balanced",
        "patience": 20,
        "min_epochs": 50,
    }
    version: ClassVar[str] = "2"
    safe_in_bf16: ClassVar[bool] = True
    ablations = Ablations(
        components={
            "instance": Component("instance loss", {"bag_weight": 1.0}),
            "subtyping": Component(
                "negative evidence of other classes", {"subtyping": False}, within="instance"
            ),
            "gating": Component("gated attention", {"gated": False}),
        },
        variants={
            "instance_ce": Switch("cross entropy on instances", {"instance_loss": "ce"}),
            "xavier": Switch("Xavier initialisation", {"init": "xavier"}),
            "entropy": Switch("attention entropy (AEM)", {"entropy_weight": 0.1}),
            **HEADS,
        },
    )

    def __init__(self, config: CLAMConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        width = config.width
        self.project = Projection(dim, width, config.dropout)
        dropout = _ATTENTION_DROPOUT if config.dropout else 0.0
        self.attention = AttentionNet(
            width, config.hidden_width, self.branches, config.gated, dropout
        )
        # Against and for the class.
        self.instance_classifiers = nn.ModuleList(nn.Linear(width, 2) for _ in range(self.n_leaves))
        self.build_classifier(width)
        if config.init == "xavier":
            xavier_linear(self)

    @property
    @abstractmethod
    def branches(self) -> int:
        """Number of attention branches ``K``."""

    @abstractmethod
    def build_classifier(self, width: int) -> None:
        """Add the bag classifier."""

    @abstractmethod
    def classify(self, pooled: Tensor) -> Tensor:
        """Return the numbers ``(B, outputs)`` that the head reads of ``(B, K, width)``."""

    def by_level(self, x: Tensor) -> dict[str, Tensor]:
        """Return the columns of ``(sum N, K)`` whose branches belong to each level."""
        return {LEAF: x} if self.branches == 1 else self.decision.by_level(x)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and attention ``(sum N, K)``.

        Attention is that of the levels with branches.
        """
        h = self.project(batch.features)  # (sum N, width)
        scores = self.attention(h)  # (sum N, K)
        attention = segment_softmax(scores, batch.segment, batch.offsets)  # (sum N, K)
        pooled = segment_matmul(attention, h, batch.segment, batch.sizes)  # (B, K, width)
        return Output(
            logits=self.decision(self.classify(pooled)),
            attention=self.by_level(attention),
            extras={
                "features": h,
                "scores": self.by_level(scores)[LEAF],
                "bag_features": pooled,
            },
        )

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return the head's terms, ``instance`` and maybe ``entropy``.

        ``bag_weight`` is the weight of the first, ``1 - bag_weight`` that of the second.
        """
        share = self.config.bag_weight
        bag = {name: share * term for name, term in super().loss(output, batch, progress).items()}
        # The choice of instances has no gradient, the features of those chosen have.
        instance = self.instance_loss(
            output.extras["features"], output.extras["scores"].detach(), batch
        )
        entropy = entropy_term(self.config, output, batch, progress)
        return {**bag, "instance": (1 - share) * instance, **entropy}

    def select(self, scores: Tensor, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Return the rows of the k largest and the k smallest scores, ``(B, k, K)`` each.
        ``scores`` are ``(sum N, K)``. Largest and smallest first.
        """
        k, where = self.config.k_sample, (batch.segment, batch.sizes)
        return segment_topk(scores, k, *where), segment_topk(-scores, k, *where)

    def instance_loss(self, h: Tensor, scores: Tensor, batch: BagBatch) -> Tensor:
        """Return the clustering loss, mean over bags.

        ``h`` is ``(sum N, width)``, ``scores`` ``(sum N, K)``. The label selects by
        multiplication, so that no step waits for the device.
        """
        labels = batch.labels[LEAF]
        truth = torch.eye(self.n_leaves, dtype=labels.dtype, device=labels.device)[labels]  # (B, C)
        top, bottom = self.select(scores, batch)
        k = batch.offsets.diff().clamp(max=self.config.k_sample)  # (B,)
        # (B, k, 1): 1 / k where a bag has a row, else 0; the sum over places is the bag's mean.
        counted = (within(top.shape[1], batch.offsets) / k.unsqueeze(1)).unsqueeze(2)
        target = torch.stack([truth, torch.zeros_like(truth)], 1)  # of the largest, the smallest
        target = target.repeat_interleave(top.shape[1], 1)  # (B, 2 k, C)
        losses = self.instance_rows(h, torch.cat([top, bottom], 1), target)
        positive, negative = ((part * counted).sum(1) for part in losses.chunk(2, 1))  # (B, C)
        inside = (truth * (positive + negative)).sum(1) / 2  # mean over its 2 k rows
        if not self.config.subtyping:
            return inside.mean()  # one term: the official code does not divide it
        # The most attended of another class speak against it.
        outside = ((1 - truth) * positive).sum(1)
        # Official: divided by C with subtyping only.
        return (inside + outside).mean() / self.n_leaves

    def instance_rows(self, h: Tensor, rows: Tensor, target: Tensor) -> Tensor:
        """Return the losses ``(B, k, C)`` of the instances in ``rows`` ``(B, k, K)``.

        ``target`` ``(B, k, C)`` is 0 or 1. Class c judges the row of branch c, or of the only one.
        All classes judge all rows, in one product: a batch of products with two columns each is
        far slower.
        """
        classifiers = cast(Iterable[nn.Linear], self.instance_classifiers)
        weight, bias = zip(*((layer.weight, layer.bias) for layer in classifiers), strict=True)
        with as_written(h):
            # (B, k, K, 2 C)
            logits = F.linear(full_precision(h[rows]), torch.cat(weight), torch.cat(bias))
            logits = logits.view(*rows.shape, -1, 2)  # (B, k, K, C, 2)
            own = logits.squeeze(2) if rows.shape[2] == 1 else logits.diagonal(0, 2, 3).mT
            own, truth = own.flatten(0, 2), target.flatten()  # (B * k * C, 2)
            if self.config.instance_loss == "svm":
                losses = smooth_top1_svm(own, truth)
            else:
                losses = F.cross_entropy(own, truth, reduction="none")
        return losses.view(target.shape)


class CLAMSB(_CLAM):
    """One attention branch, one linear classifier."""

    head_layers: ClassVar[tuple[str, ...]] = ("classifier", "instance_classifiers")

    @property
    def branches(self) -> int:
        """One branch."""
        return 1

    def build_classifier(self, width: int) -> None:
        """Build one layer for all classes."""
        self.classifier = nn.Linear(width, self.decision.outputs)

    def classify(self, pooled: Tensor) -> Tensor:
        """Score ``(B, 1, width)`` as ``(B, outputs)``."""
        numbers: Tensor = self.classifier(pooled.squeeze(1))
        return numbers


class CLAMMB(_CLAM):
    """One attention branch and one scorer per number that the head reads.

    That is one per class; with ``head=multi`` one per class of every level, ``head=conditional``
    one per node with siblings. The instance loss reads the branches of leaves.
    """

    # The last layer of its attention has a branch per class.
    head_layers: ClassVar[tuple[str, ...]] = (
        "classifiers",
        "instance_classifiers",
        "attention.score",
    )

    paper = MULTIPLE

    @property
    def branches(self) -> int:
        """One branch per output; with the flat head one per class."""
        return self.decision.outputs

    def build_classifier(self, width: int) -> None:
        """Build one scorer per branch."""
        # Separate layers: two releases of 2024 had one layer for all classes, a C x C matrix, by
        # mistake.
        self.classifiers = nn.ModuleList(nn.Linear(width, 1) for _ in range(self.branches))

    def classify(self, pooled: Tensor) -> Tensor:
        """Score ``(B, K, width)`` as ``(B, K)``: scorer c reads branch c."""
        scorers = zip(self.classifiers, pooled.unbind(1), strict=True)
        return torch.cat([scorer(bag) for scorer, bag in scorers], 1)


_CLEAR_CUT = math.log(1000.0)


def smooth_top1_svm(scores: Tensor, target: Tensor, alpha: float = 1.0, tau: float = 1.0) -> Tensor:
    """Return the smooth top-1 SVM loss (Berrada, Zisserman, Kumar, ICLR 2018) of every row.

    ``(R, C)`` scores and ``(R,)`` targets -> ``(R,)``.

    ``tau * log sum_j exp((s_j + alpha [j != y]) / tau) - s_y``. Rows whose best score leads the
    second by ``tau ln 1000`` or more use the limit ``tau -> 0``,
    ``max_j (s_j + alpha [j != y]) - s_y``, as the authors' code does.
    """
    truth = torch.eye(scores.shape[1], dtype=scores.dtype, device=scores.device)[target]
    margins = scores + alpha * (1 - truth)  # s_j + alpha [j != y]
    score = (scores * truth).sum(1)
    smooth = tau * torch.logsumexp(margins / tau, 1) - score
    hard = margins.amax(1) - score
    best = scores.detach().topk(2, 1).values  # the choice of the form has no gradient
    return torch.where(best[:, 0] - best[:, 1] >= tau * _CLEAR_CUT, hard, smooth)
