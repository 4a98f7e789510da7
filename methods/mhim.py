"""MHIM-MIL: masked hard instance mining with a momentum teacher (Tang et al., ICCV 2023)."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Component, Output, PaperCard, Switch
from mil_bench.contract.numerics import full_precision
from mil_bench.methods.abmil import ABMIL, SLIDE_RECIPE, ABMILConfig
from mil_bench.nn.headed import HeadConfig, HeadedMethod


class MHIMConfig(HeadConfig):
    """``width``, ``hidden``, ``gated`` and ``dropout`` of teacher and student, both ABMIL.

    ``mask_high`` is the share of a bag that is masked at the start of training, drawn from the most
    attended ``mask_high / mask_pool``. It falls to zero on half a cosine. ``mask_low`` is the share
    of the least attended, ``mask_random`` a share of the rest. ``consistency_weight`` and
    ``temperature`` (the teacher's) belong to the consistency loss. ``momentum`` is the share of
    its weights that the teacher keeps per step.
    """

    width: int = tunable(512, choices=(128, 256, 512), ge=1)
    hidden: int = tunable(128, choices=(64, 128, 256), ge=1)
    gated: bool = False
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)
    mask_high: float = tunable(0.01, low=0.0, high=0.1, ge=0, lt=1)
    mask_pool: float = Field(0.5, gt=0, le=1)
    mask_low: float = tunable(0.0, low=0.0, high=0.8, ge=0, lt=1)
    mask_random: float = tunable(0.5, low=0.0, high=0.8, ge=0, lt=1)
    consistency_weight: float = tunable(0.1, low=0.0, high=1.0, ge=0)
    temperature: float = Field(0.1, gt=0)
    momentum: float = tunable(0.9999, choices=(0.99, 0.999, 0.9999), ge=0, lt=1)


class MHIM(HeadedMethod):
    """A student sees masked bags; the teacher, its moving average, sees complete ones.

    Instances with high attention of the teacher are easy. Some of them and a random share are
    masked, and the student classifies the bag by the rest: ``ce``, or the terms of its head. The
    term ``consistency`` is the cross entropy of its bag feature with the teacher's, ``-sum
    softmax(z_t / tau) log softmax(z_s)``. Only the student predicts, from complete bags.
    ``Output.attention`` is its attention; masked instances have zero.

    The teacher's weights are parameters without gradient, so every checkpoint has them. They follow
    the student's after each step with momentum ``min(momentum, (1 + t) / (10 + t))``, low at first
    so that the untrained teacher is replaced quickly.
    """

    Config = MHIMConfig
    config: MHIMConfig
    steps: Tensor
    paper = PaperCard(
        title="Multiple Instance Learning Framework with Masked Hard Instance Mining for Whole "
        "Slide Image Classification",
        year=2023,
        venue="ICCV",
        link="https://arxiv.org/abs/2307.15254",
        code="DearCaat/MHIM-MIL @ 65cec90 (read for facts; no golden vectors)",
        differs=(
            "the official teacher and part of the student start from a trained ABMIL. Here both "
            "start with equal weights, and the teacher's momentum is low in its first steps",
            "the MHIM(ABMIL) form with this package's ABMIL: attention with tanh and biases and "
            "PyTorch's initial weights, there ReLU, no biases, Xavier",
            "default masks are those of the published Camelyon16 command; early stopping as in its "
            "TCGA setting (patience 20, not before epoch 70; Camelyon16 has 30 and 130), by "
            "validation loss instead of AUC",
            "masks do not overlap: the random mask takes its share of the remaining instances; the "
            "official code draws all masks from the complete bag and joins them",
            "the share of easy instances falls per epoch; in the official code, per step",
            "the teacher has no dropout",
            "one instance is always left; several slides per step",
        ),
        steps=(
            "teacher masks patches (training)",
            "project",
            "plain attention",
            "weighted mean",
            "classify",
        ),
        losses=("cross entropy", "consistency with the teacher"),
    )
    recipe: ClassVar[dict[str, Any]] = {**SLIDE_RECIPE, "schedule": "cosine", "min_epochs": 70}
    ablations = Ablations(
        components={
            "hard": Component("masking of easy instances", {"mask_high": 0.0}),
            "random": Component("random masking", {"mask_random": 0.0}),
            "consistency": Component("consistency loss", {"consistency_weight": 0.0}),
        },
        variants={"low": Switch("masking of the least attended too", {"mask_low": 0.5})},
        twins=("abmil",),
    )

    def __init__(self, config: MHIMConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        shared = config.model_dump(
            include={"width", "hidden", "gated", "dropout", *HeadConfig.model_fields}
        )
        self.student = ABMIL(ABMILConfig(**shared, attention_dropout=0.0), dim, taxonomy)
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.float64))
        self.progress = 0.0

    def train(self, mode: bool = True) -> MHIM:
        """Set the mode; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def before_epoch(self, progress: float) -> None:
        """Set the masks, which depend on the progress of training."""
        self.progress = progress

    def after_step(self, progress: float) -> None:
        """Move the teacher towards the student."""
        # 1 - min(momentum, (1 + t) / (10 + t)).
        rate = (9 / (10 + self.steps)).clamp(min=1 - self.config.momentum)
        pairs = zip(self.teacher.parameters(), self.student.parameters(), strict=True)
        for old, new in pairs:
            # In the type of the weights: t counts in float64.
            old.lerp_(new.detach(), rate.to(old.dtype))
        self.steps += 1

    def masking(self) -> Masking:
        """Return the masks of the present epoch."""
        config = self.config
        # Half a cosine from mask_high to 0.
        high = config.mask_high * (1 + math.cos(math.pi * self.progress)) / 2
        return Masking(high, config.mask_pool, config.mask_low, config.mask_random)

    def forward(self, batch: BagBatch) -> Output:
        """Return logits of the head and the student's attention ``(sum N, 1)``."""
        if not self.training:
            output: Output = self.student(batch)
            return output
        # The teacher chooses and teaches; gradients reach the student only.
        with torch.no_grad():
            taught = self.teacher(batch)
        rows, sizes = self.seen(taught.attention[LEAF].squeeze(1), batch.sizes)
        output = self.student(batch.take(rows, sizes))
        attention = output.attention[LEAF]
        # The loss reads attention over complete bags: masked instances get zero.
        scattered = attention.new_zeros(len(batch.features), 1).index_copy(0, rows, attention)
        return Output(
            logits=output.logits,
            attention={LEAF: scattered},
            extras={
                "student": output.extras["bag_features"],
                "teacher": taught.extras["bag_features"],
            },
        )

    def seen(self, attention: Tensor, sizes: tuple[int, ...]) -> tuple[Tensor, list[int]]:
        """Return the packed rows that the student sees, and the sizes of its bags.

        ``attention`` ``(sum N,)`` is the teacher's.
        """
        masking, starts = self.masking(), accumulate(sizes, initial=0)
        bags = zip(starts, torch.split(attention, list(sizes)), strict=False)
        rows = torch.cat([masking.kept(bag) + start for start, bag in bags])
        return rows, [masking.n_kept(n) for n in sizes]

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """Return the head's terms and, in training mode, the weighted ``consistency``."""
        terms = super().loss(output, batch, progress)
        if "teacher" not in output.extras or self.config.consistency_weight == 0:
            return terms
        # Soft targets: the teacher is sharpened by its temperature, the student is not.
        student = full_precision(output.extras["student"])
        teacher = full_precision(output.extras["teacher"]) / self.config.temperature
        consistency = F.cross_entropy(student, teacher.softmax(1))
        return {**terms, "consistency": self.config.consistency_weight * consistency}


@dataclass(frozen=True)
class Masking:
    """Shares of a bag that are masked (section 3.2); at least one instance is left.

    ``high``    of the bag, drawn from the most attended ``high / pool``: the easy instances
    ``pool``    the share of those candidates that is masked
    ``low``     of the bag: the least attended
    ``random``  of what is left
    """

    high: float
    pool: float
    low: float
    random: float

    def counts(self, n: int) -> tuple[int, int, int]:
        """Return the numbers of instances masked as high, low and random in a bag of ``n``."""
        high = min(ceil(n * self.high), n - 1)  # never the whole bag
        low = min(ceil(n * self.low), n - 1 - high)
        left = n - high - low
        return high, low, min(ceil(left * self.random), left - 1)  # one instance is left

    def kept(self, attention: Tensor) -> Tensor:
        """Return the rows that are left of a bag with attention ``(N,)``, in their order.

        Their number depends on N only: see :meth:`n_kept`.
        """
        n = len(attention)
        high, low, random = self.counts(n)
        ranked = attention.argsort(descending=True, stable=True)  # equal ones in file order
        candidates = min(ceil(high / self.pool), n - low)  # the least attended are masked anyway
        easy = _shuffled(ranked[:candidates])
        # The easy instances that were spared join the rest, from which the random mask draws.
        left = _shuffled(torch.cat([easy[high:], ranked[candidates : n - low]]))
        return left[: len(left) - random].sort().values

    def n_kept(self, n: int) -> int:
        """Return how many instances are left of a bag of ``n``."""
        return n - sum(self.counts(n))


def _shuffled(rows: Tensor) -> Tensor:
    return rows[torch.randperm(len(rows), device=rows.device)]
