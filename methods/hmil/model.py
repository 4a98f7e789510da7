"""HMIL's network: one class-wise attention branch per level of the tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from mil_bench.bags.batch import BagBatch
from mil_bench.methods.hmil.config import HMILConfig
from mil_bench.methods.hmil.features import FeatureChain
from mil_bench.nn.affine import Affine
from mil_bench.nn.attention import AttentionNet
from mil_bench.nn.init import kaiming_linear
from mil_bench.nn.segment import segment_matmul, segment_softmax
from mil_bench.taxonomy import LEAF


@dataclass(frozen=True)
class BranchOutput:
    """``logits`` ``(B, K)``, ``attention`` ``(sum N, K)``, bag vectors ``bags`` ``(B, K, D)``."""

    logits: Tensor
    attention: Tensor
    bags: Tensor


class ClasswiseScorer(nn.Module):
    """Scores the bag vector of every class: a weight vector per class, or one for all of them."""

    def __init__(self, dim: int, n_classes: int, shared: bool) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, 1 if shared else n_classes)

    def forward(self, bags: Tensor) -> Tensor:
        """``(B, K, D)`` -> ``(B, K)``: logit of class ``k`` from bag vector ``k``."""
        return (bags * self.linear.weight).sum(-1) + self.linear.bias


class Branch(nn.Module):
    """``A = softmax_N(attention(h))``, ``B = A h``, one logit per class (Jin et al., 2025)."""

    def __init__(
        self, dim: int, hidden_dim: int, n_classes: int, shared: bool, dropout: float
    ) -> None:
        super().__init__()
        self.attention = AttentionNet(dim, hidden_dim, n_classes, dropout=dropout)
        self.classifier = ClasswiseScorer(dim, n_classes, shared)

    def forward(self, h: Affine, batch: BagBatch) -> BranchOutput:
        """``h`` ``(sum N, D)``: features of the level for the instances of ``batch``."""
        attention = segment_softmax(self.attention(h), batch.segment, batch.offsets)
        bags = h.of_mean(segment_matmul(attention, h.x, batch.segment, batch.sizes))
        return BranchOutput(self.classifier(bags), attention, bags)


class HMILNet(nn.Module):
    """One branch per level in ``sizes`` (level name -> number of classes, top level first)."""

    def __init__(
        self, config: HMILConfig, dim: int, sizes: Mapping[str, int], top: str | None
    ) -> None:
        super().__init__()
        self.features = FeatureChain(config, dim, list(sizes), top)
        self.branches = nn.ModuleDict(
            {
                level: Branch(
                    self.features.dims[level],
                    config.fine_attention_dim if level == LEAF else config.coarse_attention_dim,
                    n_classes,
                    shared=config.classifier == "shared",
                    dropout=config.dropout,
                )
                for level, n_classes in sizes.items()
            }
        )
        kaiming_linear(self)

    def forward(self, batch: BagBatch) -> dict[str, BranchOutput]:
        """The output of every level's branch, top level first."""
        features = self.features(batch.features)
        return {level: branch(features[level], batch) for level, branch in self.branches.items()}
