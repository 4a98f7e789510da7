"""DTFD-MIL: double-tier feature distillation (Zhang et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
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
from mil_bench.nn.layers import AttentionNet, Projection
from mil_bench.nn.segment import segment_matmul, segment_softmax, segment_topk
from mil_bench.nn.sequences import by_parts


class DTFDConfig(MethodConfig):
    """``distill`` selects what of a pseudo-bag reaches the second tier.

    ``afs``      its pooled feature
    ``maxs``     its ``instances // groups`` instances with the highest evidence
    ``maxmins``  these and as many with the lowest

    ``evidence`` is whose probability ranks the instances: the ``last`` class (official; made for
    *tumour* of two classes), or the class ``predicted`` for the pseudo-bag by the first tier. The
    default is ``last`` with two classes and ``predicted`` with more.
    """

    distill: Literal["afs", "maxs", "maxmins"] = tunable("afs", choices=("afs", "maxs", "maxmins"))
    groups: int = tunable(4, choices=(2, 4, 5, 8), ge=1)
    instances: int = Field(4, ge=1)  # per slide; at least one per pseudo-bag
    evidence: Literal["last", "predicted"] | None = None
    width: int = tunable(512, choices=(128, 256, 512), ge=1)
    hidden: int = tunable(128, choices=(64, 128, 256), ge=1)
    residual_blocks: int = Field(0, ge=0)


class DTFD(Method):
    """A slide is split into ``groups`` pseudo-bags; features distilled from them are pooled again.

    First tier, per pseudo-bag: ``h = relu(W x)``, gated attention pooling, a classifier that learns
    the slide's label. Evidence of an instance: the classifier's weights times the attended feature
    ``a_i h_i``, softmax over the classes. Second tier: gated attention pooling over the distilled
    features and a classifier, whose logits are the slide's. It never trains the first.

    Training shuffles the instances in every step. Evaluation uses one permutation per number of
    instances, so it is deterministic and depends on the order of the file.

    Cost with D = 1024 and 7 classes: 0.79 M parameters, 1.31 MFLOP per patch, linear in N.
    ``Output.attention`` is ``(sum N, 1)``: the second tier's weights, shared out among the
    instances of a pseudo-bag by the first tier's (``afs``) or on the selected instances only.
    """

    Config = DTFDConfig
    config: DTFDConfig
    order_dependent: ClassVar[bool] = True
    paper = PaperCard(
        title="DTFD-MIL: Double-Tier Feature Distillation Multiple Instance Learning for "
        "Histopathology Whole Slide Image Classification",
        year=2022,
        venue="CVPR",
        link="https://arxiv.org/abs/2203.12081",
        code="hrzhang1123/DTFD-MIL @ 10964f4",
        differs=(
            "evaluation uses a fixed permutation for every slide; the official code shuffles test "
            "slides at random",
            "with more than two classes instances are ranked by the class that the first tier "
            "predicts for their pseudo-bag (official: always the last class, evidence=last)",
            "the second tier reads detached features: in the official code its gradient reaches "
            "the first and is cleared before use, which fails on torch >= 1.5 with AFS",
            "one optimiser for both tiers, which share no parameter; the norm of all gradients "
            "is clipped at 5 together instead of per module",
            "the learning rate is constant (official: x 0.2 after half of the epochs)",
            "the epoch of lowest validation log loss is tested (official: of the highest "
            "validation AUC after epoch 160)",
            "a slide of N < groups instances has N pseudo-bags (official: also empty ones, whose "
            "features are zero); a pseudo-bag gives at least one instance, and all if it has "
            "fewer than requested",
            "several slides per step average both losses over the slides",
        ),
        steps=(
            "project",
            "patches dealt into pseudo-bags",
            "attention pooling of each",
            "gated attention",
            "weighted mean",
            "classify",
        ),
        losses=("cross entropy", "cross entropy of pseudo-bags"),
    )
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "adam",
        "lr": 1e-4,
        "weight_decay": 1e-4,
        "epochs": 200,
        "batch_size": 1,
        "clip_norm": 5.0,
    }
    ablations = Ablations(
        components={"pseudo_bags": Component("several pseudo-bags", {"groups": 1})},
        variants={
            "maxs": Switch("best instances", {"distill": "maxs"}),
            "maxmins": Switch("best and worst instances", {"distill": "maxmins"}),
        },
        twins=("abmil",),
    )

    def __init__(self, config: DTFDConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        width = config.width
        self.project = Projection(dim, width, bias=False)  # as in the official code
        self.blocks = nn.Sequential(*(ResidualBlock(width) for _ in range(config.residual_blocks)))
        self.first = Tier(width, config.hidden, self.n_leaves)
        self.second = Tier(width, config.hidden, self.n_leaves)
        self.evidence_class = config.evidence or ("last" if self.n_leaves == 2 else "predicted")

    def forward(self, batch: BagBatch) -> Output:
        """Return leaf logits ``(B, C)`` and attention ``(sum N, 1)``.

        ``extras`` hold the logits of the first tier.
        """
        permutation = random_permutation if self.training else fixed_permutation
        pseudo = PseudoBags.deal([permutation(n) for n in batch.sizes], self.config.groups)
        bags, first = self.first_tier(batch, pseudo)
        distilled, rows = self.distil(bags, first, pseudo)
        # Detached: officially this gradient is computed and cleared before use.
        second = self.second(replace(distilled, features=distilled.features.detach()))
        if rows is None:
            attention = first.attention * second.attention[bags.segment]  # sums to 1 per slide
        else:
            # One row may be chosen twice (maxmins), so weights are added up.
            attention = torch.zeros_like(first.attention)
            attention = attention.index_put((rows,), second.attention, accumulate=True)
        return Output(
            logits={LEAF: second.logits},
            # In the order of the file.
            attention={LEAF: attention[pseudo.order.argsort().to(attention.device)]},
            extras={"first": first.logits},
        )

    def first_tier(self, batch: BagBatch, pseudo: PseudoBags) -> tuple[BagBatch, Scored]:
        """Return the embedded pseudo-bags and their scores."""
        order = pseudo.order.to(batch.features.device, non_blocking=True)
        h = self.project(batch.features[order])  # (sum N, width), pseudo-bag after pseudo-bag
        bags = BagBatch.of_rows(by_parts(self.blocks, h), pseudo.sizes)
        return bags, self.first(bags)

    def distil(
        self, bags: BagBatch, first: Scored, pseudo: PseudoBags
    ) -> tuple[BagBatch, Tensor | None]:
        """Return what the second tier reads, a bag per slide.

        Also returns the rows of ``bags``, or ``None`` where features are pooled.
        """
        config = self.config
        if config.distill == "afs":
            return BagBatch.of_rows(first.pooled, pseudo.counts), None  # a row per pseudo-bag
        k = max(1, config.instances // config.groups)  # official quotient, at least one
        evidence = self.evidence(bags, first)
        rows, numbers = strongest(evidence, bags, k, tails=config.distill == "maxmins")
        return BagBatch.of_rows(bags.features[rows], pseudo.per_slide(numbers)), rows

    @torch.no_grad()
    def evidence(self, bags: BagBatch, first: Scored) -> Tensor:
        """Return the probability of the evidence class, ``(sum N, 1)``.

        It judges the attended feature only.
        """
        # W (a_i h_i) without the bias: (sum N, C).
        activation = first.attention * F.linear(bags.features, self.first.classifier.weight)
        probabilities = full_precision(activation).softmax(1)
        if self.evidence_class == "last":
            return probabilities[:, -1:]
        predicted = first.logits.argmax(1)[bags.segment]  # (sum N,)
        return probabilities.gather(1, predicted.unsqueeze(1))

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return ``tier1``, mean over slides of the mean over pseudo-bags, and ``tier2``."""
        labels = batch.labels[LEAF]
        counts = [min(self.config.groups, size) for size in batch.sizes]  # as dealt
        slides = torch.split(output.extras["first"], counts)
        # A slide of few pseudo-bags counts as much as one of many.
        first = [
            self.cross_entropy(logits, label.expand(len(logits)), LEAF)
            for logits, label in zip(slides, labels, strict=True)
        ]
        return {
            "tier1": torch.stack(first).mean(),
            "tier2": self.cross_entropy(output.logits[LEAF], labels, LEAF),
        }


_EVALUATION_SEED = 0


@dataclass(frozen=True)
class PseudoBags:
    """The pseudo-bags of a batch of ``B`` slides.

    ``order``   ``(sum N,)`` int64 on the host: packed rows, pseudo-bag after pseudo-bag
    ``sizes``   their sizes, slide after slide
    ``counts``  ``B`` numbers of pseudo-bags
    """

    order: Tensor
    sizes: tuple[int, ...]
    counts: tuple[int, ...]

    @classmethod
    def deal(cls, permutations: Sequence[Tensor], groups: int) -> PseudoBags:
        """Cut a permutation ``(N,)`` per slide into ``groups`` parts, the first ones longer by one.

        A slide of fewer instances has as many pseudo-bags, of one instance each.
        """
        lengths = [len(permutation) for permutation in permutations]
        starts = accumulate(lengths, initial=0)
        order = [rows + start for rows, start in zip(permutations, starts, strict=False)]
        counts = [min(groups, length) for length in lengths]
        sizes = [
            length // count + (group < length % count)  # sizes of numpy.array_split
            for length, count in zip(lengths, counts, strict=True)
            for group in range(count)
        ]
        return cls(torch.cat(order), tuple(sizes), tuple(counts))

    def per_slide(self, numbers: Sequence[int]) -> list[int]:
        """Sum ``numbers`` over the pseudo-bags of each slide."""
        remaining = iter(numbers)
        return [sum(islice(remaining, count)) for count in self.counts]


def random_permutation(size: int) -> Tensor:
    """Return a new permutation ``(size,)`` with every call, from the seeds of training."""
    return torch.randperm(size)


def fixed_permutation(size: int) -> Tensor:
    """Return the one permutation ``(size,)`` of evaluation, the same on every device."""
    # Drawn on the host: every device gets it.
    return torch.randperm(size, generator=torch.Generator().manual_seed(_EVALUATION_SEED))


class Scored(NamedTuple):
    """``logits`` ``(B, C)``, ``attention`` ``(sum N, 1)`` and ``pooled`` ``(B, width)``."""

    logits: Tensor
    attention: Tensor
    pooled: Tensor


class Tier(nn.Module):
    """Attention pooling (Ilse et al., ICML 2018, eq. 9) and ``Linear(width, classes)``."""

    def __init__(self, width: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.attention = AttentionNet(width, hidden, 1)
        self.classifier = nn.Linear(width, classes)

    def forward(self, bags: BagBatch) -> Scored:
        """Score bags of embedded rows."""
        attention = segment_softmax(self.attention(bags.features), bags.segment, bags.offsets)
        # (B, width)
        pooled = segment_matmul(attention, bags.features, bags.segment, bags.sizes).squeeze(1)
        return Scored(self.classifier(pooled), attention, pooled)


class ResidualBlock(nn.Module):
    """``x + relu(W2 relu(W1 x))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Linear(width, width, bias=False),
            nn.ReLU(),
            nn.Linear(width, width, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform ``(N, width)``; keeps the shape."""
        rows: Tensor = x + self.inner(x)
        return rows


def strongest(
    evidence: Tensor, bags: BagBatch, k: int, tails: bool
) -> tuple[Tensor, tuple[int, ...]]:
    """Return the rows of the ``k`` largest of ``evidence`` ``(sum N, 1)`` per bag.

    Also returns how many each bag has.
    With ``tails`` the ``k`` smallest follow, both in descending order; a row may be in both. A bag
    of fewer than ``k`` rows gives each of them.
    """
    ends = [segment_topk(evidence, k, bags.segment, bags.sizes)]  # (B, k', 1)
    if tails:
        ends.append(segment_topk(-evidence, k, bags.segment, bags.sizes))
    table = torch.cat(ends, 1).squeeze(2)  # (B, places)
    places, half = table.shape[1], ends[0].shape[1]
    counts = [min(k, size) for size in bags.sizes]
    chosen: list[int] = []
    for bag, count in enumerate(counts):
        start = bag * places
        chosen += range(start, start + count)
        # Smallest first in the table: read backwards for descending order.
        if tails:  # the smallest come first
            chosen += range(start + half + count - 1, start + half - 1, -1)
    # Indices are made on the host from sizes: nothing waits for the device.
    index = torch.tensor(chosen).to(evidence.device, non_blocking=True)
    return table.flatten()[index], tuple(len(ends) * count for count in counts)
