"""The attention network that scores instances: plain or gated, one column per branch."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class AttentionNet(nn.Module):
    """Instance scores before the softmax over a bag (Ilse et al., ICML 2018, eq. 8 and 9).

    Plain ``w^T tanh(V h)``; gated ``w^T (tanh(V h) * sigmoid(U h))``; ``branches`` vectors ``w``.
    ``dropout`` follows the tanh and the sigmoid. Weights: ``value`` is V, ``gate`` is U (absent
    when plain), ``score`` is w; all have biases, as in every published code.
    """

    def __init__(
        self,
        in_dim: int,
        hidden_dim: int,
        branches: int,
        gated: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.value = nn.Linear(in_dim, hidden_dim)
        self.gate = nn.Linear(in_dim, hidden_dim) if gated else None
        self.score = nn.Linear(hidden_dim, branches)
        self.dropout = nn.Dropout(dropout)

    def forward(self, h: Tensor) -> Tensor:
        """``(sum N, in_dim)`` -> ``(sum N, branches)``: raw scores."""
        hidden: Tensor = self.dropout(torch.tanh(self.value(h)))
        if self.gate is not None:
            hidden = hidden * self.dropout(torch.sigmoid(self.gate(h)))
        scores: Tensor = self.score(hidden)
        return scores
