"""Dense layers of instance features: linear maps, the projection, dropout, initial weights."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.contract.numerics import as_written, compute_dtype
from mil_bench.nn.kernels import dense
from mil_bench.nn.kernels import dropout as random_bytes
from mil_bench.nn.stock import computed_by


class Projection(nn.Sequential):
    """``dropout(relu(W x + b))``, the first layer of most methods; some have no ``b``.

    Parameters are those of ``Sequential(Linear, ReLU)``.
    """

    def __init__(self, in_dim: int, out_dim: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__(nn.Linear(in_dim, out_dim, bias), nn.ReLU())
        self.dropout = dropout

    def forward(self, h: Features) -> Tensor:
        """Return ``(N, in_dim)`` -> ``(N, out_dim)``, in autocast's type where that is on."""
        h, layer = as_affine(h), self.get_submodule("0")
        assert isinstance(layer, nn.Linear)
        own_bias: Tensor | None = layer.bias
        bias = layer.weight.new_zeros(len(layer.weight)) if own_bias is None else own_bias
        weight, bias = h.folded(layer.weight, bias)
        p = self.dropout if self.training else 0.0
        return projected(h.x, weight, bias, p, compute_dtype(h.x))


@computed_by(dense.projected)
def projected(x: Tensor, weight: Tensor, bias: Tensor, p: float, dtype: torch.dtype) -> Tensor:
    """Return ``dropout(relu(W x + b))`` in ``dtype``: ``(N, d)``, ``(D, d)``, ``(D,)`` ->
    ``(N, D)``.
    """
    with as_written(x):
        return F.dropout(F.linear(x.to(dtype), weight.to(dtype), bias.to(dtype)).relu(), p)


@dataclass(frozen=True)
class Affine:
    """``h = W x + b`` of every instance: ``x`` ``(sum N, d)``, ``W`` ``(D, d)``, ``b`` ``(D,)``.

    ``h`` is never computed, because the layers that read it are linear too. A linear layer that
    reads ``h`` multiplies ``x`` by the product of both weights. A weighted mean over a bag is taken
    of ``x`` and mapped afterwards. With ``d < D`` this is the same function for a fraction of the
    multiplications, and ``h`` takes no memory. Without ``W`` and ``b`` it is ``x`` itself.
    """

    x: Tensor
    weight: Tensor | None = None
    bias: Tensor | None = None

    def then(self, layer: nn.Linear) -> Affine:
        """Return the features after ``layer`` ``(D, D')``, which must have a bias."""
        return Affine(self.x, *self.folded(layer.weight, layer.bias))

    def folded(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weight ``(D', d)`` and bias ``(D',)`` that do to ``x`` what the arguments do to ``h``."""
        if self.weight is None or self.bias is None:
            return weight, bias
        with as_written(weight):
            return weight @ self.weight, weight @ self.bias + bias

    def of_mean(self, pooled: Tensor) -> Tensor:
        """Return means of ``h`` ``(..., D)`` from those of ``x`` ``(..., d)``, whose weights sum to
        1.
        """
        if self.weight is None or self.bias is None:
            return pooled
        with as_written(pooled):
            return pooled.to(self.weight.dtype) @ self.weight.T + self.bias

    def part(self, x: Tensor) -> Affine:
        """Return the same map of other instances."""
        return replace(self, x=x)


Features = Tensor | Affine


def as_affine(h: Features) -> Affine:
    """Return ``h`` itself, or as the identity map of a tensor."""
    return h if isinstance(h, Affine) else Affine(h)


class Dropout(nn.Module):
    """:class:`torch.nn.Dropout` with ``p`` rounded to ``1/256``."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the input itself in evaluation mode or with ``p = 0``."""
        return dropout(x, self.p) if self.training and self.p else x

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"p={self.p}"


@computed_by(random_bytes.dropout)
def dropout(x: Tensor, p: float) -> Tensor:
    """Every entry of ``x`` is zero with probability ``p``, else divided by ``1 - p``."""
    return F.dropout(x, p)


def xavier_linear(module: nn.Module) -> None:
    """Set Xavier-normal weights and zero biases in every ``Linear`` below ``module``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            _zero_bias(layer)


def kaiming_linear(module: nn.Module) -> None:
    """Set Kaiming-normal weights (fan in, gain sqrt 2), zero biases in every ``Linear`` below."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            _zero_bias(layer)


def orthogonal_layers(module: nn.Module) -> None:
    """Set orthogonal weights and zero biases in every ``Linear`` and ``Conv1d`` below
    ``module``.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            nn.init.orthogonal_(layer.weight)
            _zero_bias(layer)


def _zero_bias(layer: nn.Linear | nn.Conv1d) -> None:
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
