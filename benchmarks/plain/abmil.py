"""ABMIL with CLAM's widths: gated attention, one bag per step."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.plain.gated import GatedAttention
from benchmarks.plain.model import PlainModel
from mil_bench.base.taxonomy import Taxonomy


class PlainABMIL(PlainModel):
    """``D -> 512`` (ReLU, dropout), gated attention ``512 -> 2 x 256 -> 1``, linear classifier."""

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.project = nn.Sequential(nn.Linear(dim, 512), nn.ReLU(), nn.Dropout(0.25))
        self.attention = GatedAttention(512, 256, 1, dropout=0.25)
        self.classifier = nn.Linear(512, n_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, D)`` -> ``(1, C)`` logits."""
        h = self.project(x)
        a = self.attention(h)
        a = torch.transpose(a, 1, 0)  # (1, N)
        a = F.softmax(a, dim=1)
        m = torch.mm(a, h)  # (1, 512)
        logits: Tensor = self.classifier(m)
        return logits


def build(dim: int, taxonomy: Taxonomy) -> PlainModel:
    """Return the model for features of width ``dim``."""
    return PlainABMIL(dim, len(taxonomy.leaves))


def optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Return the optimiser of CLAM's README."""
    return torch.optim.Adam(model.parameters(), lr=2e-4, weight_decay=1e-5)
