"""ACMIL: attention-challenging multiple instance learning (Zhang et al., ECCV 2024).

The attention has two forms, :class:`GatedBranches` and :class:`MultiHeadBranches`. Both have
``scores(h)`` ``(sum N, branches * heads)``, the heads of a branch next to each other, and
``pool(attention, h, batch)``: features of the branches ``(B, branches, width)`` and of the bag
``(B, width)``, which is pooled with the mean of the branches' attention.
"""

from __future__ import annotations

from math import sqrt
from typing import Any, ClassVar, Final, Literal

import torch
from pydantic import Field, model_validator
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
from mil_bench.nn.layers import AttentionNet, Dropout, Projection
from mil_bench.nn.segment import segment_matmul, segment_softmax, segment_topk, within


class ACMILConfig(MethodConfig):
    """``form`` is the official ACMIL-GA (gated) or ACMIL-MHA (multihead, of ``heads`` heads).

    In training ``mask_share`` of the ``mask_top`` most attended instances of every branch are
    masked. ``hidden`` belongs to the gated form.
    """

    form: Literal["gated", "multihead"] = "gated"
    branches: int = tunable(5, choices=(2, 5, 8), ge=1)
    mask_top: int = tunable(10, choices=(5, 10, 20), ge=1)
    mask_share: float = tunable(0.6, low=0.0, high=0.9, ge=0, le=1)
    diversity_weight: float = tunable(1.0, low=0.1, high=10.0, log=True, ge=0)
    width: int = tunable(512, choices=(128, 256, 512), ge=1)
    hidden: int = Field(128, ge=1)
    heads: int = Field(8, ge=1)

    @model_validator(mode="after")
    def _heads_divide_width(self) -> ACMILConfig:
        if self.form == "multihead" and self.width % self.heads:
            raise ValueError(f"width {self.width} must be a multiple of heads {self.heads}")
        return self


class ACMIL(Method):
    """Several attention branches that attend to different instances, and to many of them.

    ``h = relu(W x)``; every branch pools and classifies the slide separately. The slide's logits
    come from another classifier, on features pooled with the mean of the branches' attention.
    Loss: ``CE(bag) + mean CE(branches) + mean cosine(a_t, a_u)`` with the masked attention; with
    one branch ``CE(bag)`` only.

    Cost with D = 1024 and 7 classes: gated 0.68 M parameters, 1.32 MFLOP per patch; multihead
    6.33 M, 1.13 MFLOP (6.83 officially, see :class:`MultiHeadBranches`). Linear in N.
    ``Output.attention`` ``(sum N, 1)`` is the mean attention of branches and heads.
    """

    Config = ACMILConfig
    config: ACMILConfig
    paper = PaperCard(
        title="Attention-Challenging Multiple Instance Learning for Whole Slide Image "
        "Classification",
        year=2024,
        venue="ECCV",
        link="https://arxiv.org/abs/2311.07125",
        code="dazhangyu123/ACMIL @ e53d19c",
        differs=(
            "width is 512 for features of any dimension (official: 512 for 1024, 256 for 512, "
            "128 for 384, 384 for 768, 768 for 1536)",
            "mask_share is 0.6 as published; the authors noted later that 0 is sometimes better",
            "with one branch there are no branch classifiers (officially built, never trained)",
            "the multi-head form multiplies in another order: the same function with fewer "
            "operations",
            "bags smaller than mask_top mask int(N * mask_share), as in the official code",
            "weight decay spares biases",
            "the epoch with the lowest validation log loss is tested (official: the one with the "
            "highest sum of F1 and AUC)",
            "several bags per step average every loss over the bags",
        ),
        steps=(
            "project",
            "gated scores of several branches",
            "top scores masked (training)",
            "weighted mean of each branch",
            "mean of branches",
            "classify",
        ),
        losses=("cross entropy", "cross entropy of branches", "cosine between branches"),
    )
    head_layers: ClassVar[tuple[str, ...]] = ("classifier", "branch_classifiers")
    recipe: ClassVar[dict[str, Any]] = {
        "optimizer": "adamw",
        "lr": 1e-4,
        "weight_decay": 1e-5,
        "epochs": 50,
        "batch_size": 1,
        "schedule": "cosine",
    }
    ablations = Ablations(
        components={
            "branches": Component("several branches", {"branches": 1}),
            "diversity": Component("diversity loss", {"diversity_weight": 0.0}, within="branches"),
            "masking": Component("stochastic top-k masking", {"mask_share": 0.0}),
        },
        variants={"multihead": Switch("multi-head attention", {"form": "multihead"})},
        twins=("abmil",),
    )

    def __init__(self, config: ACMILConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        width, branches = config.width, config.branches
        self.project = Projection(dim, width, bias=False)  # as in the official code
        self.attention: GatedBranches | MultiHeadBranches = (
            GatedBranches(width, config.hidden, branches)
            if config.form == "gated"
            else MultiHeadBranches(width, config.heads, branches)
        )
        self.branch_classifiers = nn.ModuleList(
            # A lone branch has none: the official code builds its classifier and never trains it.
            nn.Linear(width, self.n_leaves)
            for _ in range(branches if branches > 1 else 0)
        )
        self.classifier = nn.Linear(width, self.n_leaves)

    def forward(self, batch: BagBatch) -> Output:
        """Return leaf logits ``(B, C)`` and attention ``(sum N, 1)``.

        ``extras`` hold those of the branches.
        """
        h = self.project(batch.features)  # (sum N, width)
        scores = full_precision(self.attention.scores(h))  # (sum N, branches * heads)
        if self.training:
            scores = mask_top(scores, self.config.mask_top, self.config.mask_share, batch)
        # Of masked scores: the diversity loss sees masked attention, as in the official code.
        attention = segment_softmax(scores, batch.segment, batch.offsets)
        features, bag = self.attention.pool(attention, h, batch)  # (B, branches, width), (B, width)
        extras = {"scores": scores, "attention": attention, "features": features}
        if self.branch_classifiers:
            branches = zip(self.branch_classifiers, features.unbind(1), strict=True)
            logits = [classifier(feature) for classifier, feature in branches]
            extras["branches"] = torch.stack(logits, 1)  # (B, branches, C)
        return Output(
            logits={LEAF: self.classifier(bag)},
            # The mean of softmaxes, not the softmax of a mean.
            attention={LEAF: attention.mean(1, keepdim=True)},
            extras=extras,
        )

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return ``bag``, and with several branches ``branches`` and ``diversity``."""
        labels, number = batch.labels[LEAF], self.config.branches
        terms = {"bag": self.cross_entropy(output.logits[LEAF], labels, LEAF)}
        if number > 1:
            # (B * branches, C): the label of every branch is the bag's
            logits = output.extras["branches"].flatten(0, 1)
            terms["branches"] = self.cross_entropy(logits, labels.repeat_interleave(number), LEAF)
            if self.config.diversity_weight:
                alike = similarity(output.extras["attention"], number, batch)
                terms["diversity"] = self.config.diversity_weight * alike
        return terms


_DROPOUT: Final = 0.1  # fixed in the official code


class GatedBranches(nn.Module):
    """A gated attention network with a column of scores per branch."""

    def __init__(self, width: int, hidden: int, branches: int) -> None:
        super().__init__()
        self.net = AttentionNet(width, hidden, branches)

    def scores(self, h: Tensor) -> Tensor:
        """Score instances for every branch: ``(sum N, width)`` -> ``(sum N, branches)``."""
        scores: Tensor = self.net(h)
        return scores

    def pool(self, attention: Tensor, h: Tensor, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Return the weighted means; that of the mean attention is the mean of the means."""
        pooled = segment_matmul(attention, h, batch.segment, batch.sizes)  # (B, branches, width)
        return pooled, pooled.mean(1)


class MultiHeadBranches(nn.Module):
    """A learned query per branch, with a separate cross attention to the instances.

    Queries do not depend on the instances, so keys are folded into them: a score costs one row of
    ``width`` per head instead of a projection of every instance. Values are linear and the weights
    sum to one, so the weighted mean is projected instead of the instances. The function is that of
    the official code.
    """

    def __init__(self, width: int, heads: int, branches: int) -> None:
        super().__init__()
        # Nearly even attention at the start.
        self.queries = nn.Parameter(1e-6 * torch.randn(1, branches, width))
        self.keys = nn.ModuleList(_FoldedKeys(width, heads) for _ in range(branches))
        self.values = nn.ModuleList(_HeadMeans(width, heads) for _ in range(branches))
        self.bag = _HeadMeans(width, heads)

    def scores(self, h: Tensor) -> Tensor:
        """Score instances for every branch and head: ``(sum N, branches * heads)``."""
        folded = [key(query) for key, query in zip(self.keys, self.queries[0], strict=True)]
        weights, constants = zip(*folded, strict=True)
        return F.linear(h, torch.cat(weights), torch.cat(constants))

    def pool(self, attention: Tensor, h: Tensor, batch: BagBatch) -> tuple[Tensor, Tensor]:
        """Pool weighted means per head, then apply each branch's values, output layer and norm."""
        # (B, branches * heads, width)
        means = segment_matmul(attention, h, batch.segment, batch.sizes)
        means = torch.unflatten(means, 1, (len(self.values), -1))  # (B, branches, heads, width)
        branches = zip(self.values, means.unbind(1), strict=True)
        features = torch.stack([values(mean) for values, mean in branches], 1)
        # The bag's attention is the mean over branches, head by head: so is its weighted mean.
        return features, self.bag(means.mean(1))


class _FoldedKeys(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)

    def forward(self, query: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(heads, width)`` weights and ``(heads,)`` constants that score an instance."""
        q = self.query(query).view(self.heads, -1)  # (heads, width per head)
        q = q / sqrt(q.shape[1])  # as queries are scaled in dot-product attention
        weight = self.key.weight.view(*q.shape, -1).to(q.dtype)  # (heads, width per head, width)
        # q.(W h + b) = (q W) h + q.b, per head.
        return torch.einsum("hd,hdw->hw", q, weight), (q * self.key.bias.view(q.shape)).sum(1)


class _HeadMeans(nn.Module):
    """``norm(dropout(out(value)))`` of a mean per head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)
        self.dropout = Dropout(_DROPOUT)
        self.norm = nn.LayerNorm(width, eps=1e-6)  # official eps

    def forward(self, means: Tensor) -> Tensor:
        """Project a mean per head ``(B, heads, width)`` to ``(B, width)``."""
        weight = self.value.weight.view(self.heads, -1, means.shape[2]).to(means.dtype)
        values = torch.einsum("bhw,hdw->bhd", means, weight).flatten(1)  # (B, width): heads joined
        rows: Tensor = self.norm(self.dropout(self.out(values + self.value.bias)))
        return rows


MASKED: Final = -1e9  # finite: a completely masked bag gets even attention


def mask_top(scores: Tensor, k: int, share: float, batch: BagBatch) -> Tensor:
    """Mask some of the ``k' = min(k, N)`` highest of ``(sum N, K)`` scores per bag (STKIM).

    In every column ``int(k' * share)`` of them, drawn at random, become :data:`MASKED`.
    """
    top = segment_topk(scores.detach(), k, batch.segment, batch.sizes)  # (B, k', K)
    outside = ~within(top.shape[1], batch.offsets).unsqueeze(2)  # places that a small bag lacks
    # Lots order the places at random; infinite ones come last and are never drawn.
    lots = torch.rand(top.shape, device=scores.device).masked_fill(outside, torch.inf)
    # Rounded down, as in the official code.
    numbers = torch.tensor([int(min(k, size) * share) for size in batch.sizes])
    numbers = numbers.to(scores.device, non_blocking=True)[:, None, None]
    drawn = lots.argsort(1).argsort(1) < numbers  # the rank of every lot
    # Places outside a small bag repeat its first row, so hits are added up, not written.
    hits = torch.zeros_like(scores)
    hits.scatter_add_(0, top.flatten(0, 1), drawn.flatten(0, 1).to(scores.dtype))
    return scores.masked_fill(hits > 0, MASKED)


def similarity(attention: Tensor, branches: int, batch: BagBatch) -> Tensor:
    """Return the diversity loss: cosine of the attention of two branches over a bag.

    Mean over pairs of branches, heads and bags. ``attention`` is ``(sum N, branches * heads)``, of
    at least two branches.
    """
    # (B, K, K): attention summed with attention as weights gives all inner products.
    products = segment_matmul(attention, attention, batch.segment, batch.sizes)
    heads = products.shape[1] // branches
    # (B, branches, branches, heads): a head is compared with the same head of other branches.
    products = products.view(-1, branches, heads, branches, heads).diagonal(dim1=2, dim2=4)
    lengths = products.diagonal(dim1=1, dim2=2).mT.sqrt()  # (B, branches, heads)
    t, u = torch.triu_indices(branches, branches, 1, device=attention.device)  # every pair once
    cosines: Tensor = products[:, t, u] / (lengths[:, t] * lengths[:, u])
    return cosines.mean()
