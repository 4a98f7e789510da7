"""Pooling baselines: every instance is classified separately, then the logits are pooled."""

from __future__ import annotations

from abc import abstractmethod
from itertools import accumulate
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from mil_bench.base.config import tunable
from mil_bench.base.errors import ConfigError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Ablations, Method, MethodConfig, Output, PaperCard, Switch
from mil_bench.methods.abmil import SLIDE_RECIPE
from mil_bench.nn.layers import Projection, xavier_linear
from mil_bench.nn.segment import segment_max, segment_mean


class PoolingConfig(MethodConfig):
    """Widths of the instance classifier ``D -> width -> classes``."""

    width: int = tunable(512, choices=(128, 256, 512), ge=1)
    dropout: float = tunable(0.25, low=0.0, high=0.5, ge=0, lt=1)


class MaxPoolingConfig(PoolingConfig):
    """``select`` chooses the instances whose logits are those of the bag.

    ``per_class``          the largest logit of every class, from different instances
    ``top_instance``       the instance with the largest probability of any class
    ``positive_instance``  the instance with the largest probability of class 1 (two classes only)
    """

    select: Literal["per_class", "top_instance", "positive_instance"] = "per_class"


class _Pooling(Method):
    """Instance classifier ``D -> width`` (ReLU, dropout) ``-> classes``."""

    attention_is_distribution: ClassVar[bool] = False
    safe_in_bf16: ClassVar[bool] = True
    recipe: ClassVar[dict[str, Any]] = SLIDE_RECIPE
    config: PoolingConfig

    def __init__(self, config: PoolingConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        self.project = Projection(dim, config.width, config.dropout)
        self.classifier = nn.Linear(config.width, self.n_leaves)

    def forward(self, batch: BagBatch) -> Output:
        """Return leaf logits; attention is the class probabilities of instances, ``(sum N, C)``."""
        logits = self.classifier(self.project(batch.features))  # (sum N, C)
        probabilities = logits.softmax(1)
        return Output(
            logits={LEAF: self.pool(logits, probabilities, batch)},
            attention={LEAF: probabilities.detach()},  # shown, not trained
        )

    @abstractmethod
    def pool(self, logits: Tensor, probabilities: Tensor, batch: BagBatch) -> Tensor:
        """Return bag logits ``(B, C)`` from instance logits and probabilities ``(sum N, C)``."""


class MeanPooling(_Pooling):
    """Mean of the instance logits. The last layer is linear, so it reads the mean of the
    projected patches; ``simlp`` averages before it projects.
    """

    Config = PoolingConfig
    paper = PaperCard(
        title="Feature Re-Embedding: Towards Foundation Model-Level Performance in "
        "Computational Pathology (its mean-pooling baseline)",
        year=2024,
        venue="CVPR",
        link="https://arxiv.org/abs/2402.17228",
        code="DearCaat/RRT-MIL @ 7ecbdfb",
        differs=(
            "trained by the recipe of the other baselines here (CLAM's, without balancing); "
            "officially a cosine over 200 epochs that stops on validation AUC",
            "any feature dimension and width",
        ),
        steps=("project", "classify every patch", "mean of the logits"),
        losses=("cross entropy",),
    )

    def __init__(self, config: PoolingConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        xavier_linear(self)  # RRT-MIL's initial weights

    def pool(self, logits: Tensor, probabilities: Tensor, batch: BagBatch) -> Tensor:
        """Return the mean over the instances of each bag."""
        return segment_mean(logits, batch.offsets)


class MaxPooling(_Pooling):
    """Maximum of the instance logits per class, or CLAM's single most certain instance."""

    Config = MaxPoolingConfig
    config: MaxPoolingConfig
    paper = PaperCard(
        title="Data-efficient and weakly supervised computational pathology on whole-slide "
        "images (its max-pooling baselines)",
        year=2021,
        venue="Nature Biomedical Engineering",
        link="https://doi.org/10.1038/s41551-020-00682-w",
        code="DearCaat/RRT-MIL @ 7ecbdfb (per_class), mahmoodlab/CLAM @ 53e2409 (others)",
        differs=(
            "the default pools per class as RRT-MIL does; `select=top_instance` is CLAM's "
            "MIL_fc_mc, `select=positive_instance` its MIL_fc",
            "trained by the recipe of the other baselines here (CLAM's, without balancing)",
            "any feature dimension; RRT-MIL's MaxMIL is wired to 1024",
        ),
        steps=("project", "classify every patch", "largest logit of every class"),
        losses=("cross entropy",),
    )
    ablations = Ablations(
        variants={"top_instance": Switch("most certain instance", {"select": "top_instance"})}
    )

    def __init__(self, config: MaxPoolingConfig, dim: int, taxonomy: Taxonomy) -> None:
        super().__init__(config, dim, taxonomy)
        if config.select == "positive_instance" and self.n_leaves != 2:
            raise ConfigError(
                "method max: select=positive_instance requires two classes, but tree "
                f"{taxonomy.name!r} has {self.n_leaves}; use select=top_instance."
            )
        # CLAM's forms keep PyTorch's initial weights.
        if config.select == "per_class":
            xavier_linear(self)

    def pool(self, logits: Tensor, probabilities: Tensor, batch: BagBatch) -> Tensor:
        """Return the largest logit per class, or the logits of the selected instance."""
        if self.config.select == "per_class":
            return segment_max(logits, batch.offsets)
        return logits[self.selected(probabilities, batch)]  # (B, C)

    def selected(self, probabilities: Tensor, batch: BagBatch) -> Tensor:
        """Return ``(B,)``: the row of the instance selected in each bag."""
        positive = self.config.select == "positive_instance"
        # MIL_fc looks at class 1, MIL_fc_mc at the largest probability of any class (not logit).
        certainty = probabilities[:, 1] if positive else probabilities.amax(1)
        starts = accumulate(batch.sizes, initial=0)
        bags = zip(starts, torch.split(certainty, list(batch.sizes)), strict=False)
        return torch.stack([start + bag.argmax() for start, bag in bags])
