"""Gated attention scores, written as CLAM writes them."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedAttention(nn.Module):
    """``w^T (tanh(V h) * sigmoid(U h))``, dropout after tanh and sigmoid (Ilse et al., 2018)."""

    def __init__(self, in_dim: int, hidden_dim: int, branches: int, dropout: float) -> None:
        super().__init__()
        self.value = nn.Linear(in_dim, hidden_dim)
        self.gate = nn.Linear(in_dim, hidden_dim)
        self.score = nn.Linear(hidden_dim, branches)
        self.value_dropout = nn.Dropout(dropout)
        self.gate_dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """Return ``(N, in_dim)`` -> ``(N, branches)``."""
        a = self.value_dropout(torch.tanh(self.value(h)))
        b = self.gate_dropout(torch.sigmoid(self.gate(h)))
        scores: Tensor = self.score(a * b)
        return scores
