"""The attention network that scores instances: plain or gated, one column per branch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.contract.numerics import as_written, compute_dtype, full_precision
from mil_bench.nn.kernels import dense
from mil_bench.nn.layers import Affine, Features, as_affine
from mil_bench.nn.parts import by_parts
from mil_bench.nn.stock import computed_by


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
        self.dropout = dropout

    def forward(self, h: Features) -> Tensor:
        """``(sum N, in_dim)`` -> ``(sum N, branches)``: raw scores, in float32 or more."""
        h = as_affine(h)
        return by_parts(lambda x: self._score(h.part(x)), h.x)

    def _score(self, h: Affine) -> Tensor:
        layers = [self.value] if self.gate is None else [self.value, self.gate]
        weight = torch.cat([layer.weight for layer in layers])
        bias = torch.cat([layer.bias for layer in layers])
        # Two independent dropouts of a product are one, which keeps what both keep.
        keep = (1 - self.dropout) ** len(layers) if self.training else 1.0
        w, b = self.score.weight, self.score.bias
        return attention_scores(h.x, *h.folded(weight, bias), w, b, keep, compute_dtype(h.x))


@computed_by(dense.attention_scores)
def attention_scores(
    x: Tensor, weight: Tensor, bias: Tensor, w: Tensor, b: Tensor, keep: float, dtype: torch.dtype
) -> Tensor:
    """``w dropout(tanh(V x) * sigmoid(U x)) + b``: ``(N, D)`` -> ``(N, K)``, float32 or more.

    ``weight`` ``(2 H, D)`` and ``bias`` hold V above U, or V only ``(H, D)``; ``w`` is ``(K, H)``.
    """
    with as_written(x):
        hidden = F.linear(x.to(dtype), weight.to(dtype), bias.to(dtype))
        value, *gate = torch.split(hidden, w.shape[1], 1)
        gated = value.tanh() * gate[0].sigmoid() if gate else value.tanh()
        return F.linear(F.dropout(full_precision(gated), 1 - keep), w, b)
