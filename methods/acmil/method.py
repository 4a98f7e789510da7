"""ACMIL: attention-challenging multiple instance learning (Zhang et al., ECCV 2024)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn

from mil_bench.ablation.declaration import Ablations, Component, Switch
from mil_bench.bags.batch import BagBatch
from mil_bench.config import tunable
from mil_bench.method import Method, MethodConfig, Output, PaperCard
from mil_bench.methods.acmil.branches import GatedBranches, MultiHeadBranches
from mil_bench.methods.acmil.diversity import similarity
from mil_bench.methods.acmil.masking import mask_top
from mil_bench.nn.casting import full_precision
from mil_bench.nn.projection import Projection
from mil_bench.nn.segment import segment_softmax
from mil_bench.taxonomy import LEAF, Taxonomy


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
    """Several attention branches that are kept apart, and from resting on few instances.

    ``h = relu(W x)``; every branch pools and classifies the slide by itself; the slide's logits
    come from its own classifier on features pooled with the mean of the branches' attention.
    Loss: ``CE(bag) + mean CE(branches) + mean cosine(a_t, a_u)`` with the masked attention; with
    one branch ``CE(bag)`` alone.

    Cost with D = 1024 and 7 classes: gated 0.68 M parameters, 1.32 MFLOP per patch; multihead
    6.33 M, 1.13 MFLOP (6.83 officially: see ``branches.py``). Linear in N.
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
            "the multi-head form multiplies in another order: the same function for less",
            "bags smaller than mask_top mask int(N * mask_share), as officially",
            "weight decay spares biases",
            "the epoch of lowest validation log loss is tested (official: of the highest sum of F1 "
            "and AUC)",
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
        self.project = Projection(dim, width, bias=False)
        self.attention: GatedBranches | MultiHeadBranches = (
            GatedBranches(width, config.hidden, branches)
            if config.form == "gated"
            else MultiHeadBranches(width, config.heads, branches)
        )
        self.branch_classifiers = nn.ModuleList(
            nn.Linear(width, self.n_leaves) for _ in range(branches if branches > 1 else 0)
        )
        self.classifier = nn.Linear(width, self.n_leaves)

    def forward(self, batch: BagBatch) -> Output:
        """Leaf logits ``(B, C)``, attention ``(sum N, 1)``; ``extras`` hold the branches'."""
        h = self.project(batch.features)  # (sum N, width)
        scores = full_precision(self.attention.scores(h))  # (sum N, branches * heads)
        if self.training:
            scores = mask_top(scores, self.config.mask_top, self.config.mask_share, batch)
        attention = segment_softmax(scores, batch.segment, batch.offsets)
        features, bag = self.attention.pool(attention, h, batch)
        extras = {"scores": scores, "attention": attention, "features": features}
        if self.branch_classifiers:
            branches = zip(self.branch_classifiers, features.unbind(1), strict=True)
            logits = [classifier(feature) for classifier, feature in branches]
            extras["branches"] = torch.stack(logits, 1)  # (B, branches, C)
        return Output(
            logits={LEAF: self.classifier(bag)},
            attention={LEAF: attention.mean(1, keepdim=True)},
            extras=extras,
        )

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """``bag``, and with several branches ``branches`` and ``diversity``."""
        labels, number = batch.labels[LEAF], self.config.branches
        terms = {"bag": self.cross_entropy(output.logits[LEAF], labels, LEAF)}
        if number > 1:
            each = output.extras["branches"].flatten(0, 1)
            terms["branches"] = self.cross_entropy(each, labels.repeat_interleave(number), LEAF)
            if self.config.diversity_weight:
                alike = similarity(output.extras["attention"], number, batch)
                terms["diversity"] = self.config.diversity_weight * alike
        return terms
