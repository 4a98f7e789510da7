"""Mean and max pooling of instance logits, one bag per step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from benchmarks.plain.model import PlainModel
from mil_bench.base.taxonomy import Taxonomy


class PlainPooling(PlainModel):
    """Instance classifier ``D -> 512`` (ReLU, dropout) ``-> C``; its logits are pooled."""

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(dim, 512), nn.ReLU(), nn.Dropout(0.25))
        self.classifier = nn.Linear(512, n_classes)


class PlainMean(PlainPooling):
    """Mean over the instances."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, D)`` -> ``(1, C)`` logits."""
        logits: Tensor = self.classifier(self.project(x))
        return logits.mean(0, keepdim=True)


class PlainMax(PlainPooling):
    """Largest logit of every class."""

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, D)`` -> ``(1, C)`` logits."""
        logits: Tensor = self.classifier(self.project(x))
        return logits.max(0, keepdim=True).values


def build_mean(dim: int, taxonomy: Taxonomy) -> PlainModel:
    """Return mean pooling for features of width ``dim``."""
    return PlainMean(dim, len(taxonomy.leaves))


def build_max(dim: int, taxonomy: Taxonomy) -> PlainModel:
    """Return max pooling for features of width ``dim``."""
    return PlainMax(dim, len(taxonomy.leaves))


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of CLAM's README."""
    return torch.optim.Adam(model.parameters(), lr=2e-4, weight_decay=1e-5)
