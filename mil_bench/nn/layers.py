"""Linear maps of instance features that are never computed: their readers are linear too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mil_bench.contract.numerics import as_written, compute_dtype
from mil_bench.contract.rows import padded_empty, padded_empty_like, padded_grad, with_padding


@dataclass(frozen=True)
class Affine:
    """``h = W x + b`` of every instance: ``x`` ``(sum N, d)``, ``W`` ``(D, d)``, ``b`` ``(D,)``.

    A linear layer that reads ``h`` multiplies ``x`` by its weights times ``W`` instead; a weighted
    mean over a bag is taken of ``x`` and mapped afterwards. With ``d < D`` this is the same
    function for a fraction of the multiplications, and ``h`` takes no memory. Without ``W`` and
    ``b`` it is ``x`` itself.
    """

    x: Tensor
    weight: Tensor | None = None
    bias: Tensor | None = None

    def then(self, layer: nn.Linear) -> Affine:
        """The features after ``layer`` ``(D, D')``, which must have a bias."""
        return Affine(self.x, *self.folded(layer.weight, layer.bias))

    def folded(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weight ``(D', d)`` and bias ``(D',)`` that do to ``x`` what the given do to ``h``."""
        if self.weight is None or self.bias is None:
            return weight, bias
        with as_written(weight):
            return weight @ self.weight, weight @ self.bias + bias

    def of_mean(self, pooled: Tensor) -> Tensor:
        """Means of ``h`` ``(..., D)`` from those of ``x`` ``(..., d)``, whose weights sum to 1."""
        if self.weight is None or self.bias is None:
            return pooled
        with as_written(pooled):
            return pooled.to(self.weight.dtype) @ self.weight.T + self.bias

    def part(self, x: Tensor) -> Affine:
        """The same map of other instances."""
        return replace(self, x=x)


Features = Tensor | Affine


def as_affine(h: Features) -> Affine:
    """``h`` itself, or as the identity map of a tensor."""
    return h if isinstance(h, Affine) else Affine(h)


# The first layer of most methods, which keeps nothing but its input and its output.


class Projection(nn.Sequential):
    """``dropout(relu(W x + b))``, the first layer of most MIL methods; some have no ``b``.

    Parameters are those of ``Sequential(Linear, ReLU)``. The backward pass needs only where the
    output is positive, because a dropped entry and a negative one both pass no gradient.
    """

    def __init__(self, in_dim: int, out_dim: int, dropout: float = 0.0, bias: bool = True) -> None:
        super().__init__(nn.Linear(in_dim, out_dim, bias), nn.ReLU())
        self.dropout = dropout

    def forward(self, h: Features) -> Tensor:
        """``(N, in_dim)`` -> ``(N, out_dim)``, in autocast's type where that is on."""
        h, layer = as_affine(h), self.get_submodule("0")
        assert isinstance(layer, nn.Linear)
        given: Tensor | None = layer.bias
        bias = layer.weight.new_zeros(len(layer.weight)) if given is None else given
        weight, bias = h.folded(layer.weight, bias)
        dtype, p = compute_dtype(h.x), self.dropout if self.training else 0.0
        with as_written(h.x):
            y: Tensor = _Projected.apply(h.x, weight, bias, p, dtype)
        return y


class _Projected(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, p: float, dtype: torch.dtype
    ) -> Tensor:
        kept = KeepMask((len(x), len(weight)), 1 - p, x.device) if p else None
        ctx.scale = kept.scale if kept else 1.0
        x = x.to(dtype)
        # relu(c x) = c relu(x) for c > 0: the scale of dropout goes into the weights.
        w, b = (weight * ctx.scale, bias * ctx.scale) if kept else (weight, bias)
        y = padded_empty(len(x), len(weight), dtype, x.device)
        rows, out = with_padding(x), with_padding(y)
        if len(rows) != len(out):
            rows, out = x, y
        torch.addmm(b.to(dtype), rows, w.to(dtype).T, out=out)
        y.relu_()
        if kept:
            y.mul_(kept.mask)
        ctx.save_for_backward(x, weight, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        to_y = padded_empty_like(y)
        torch.ops.aten.threshold_backward(grad, y, 0, grad_input=to_y)
        rows, to_x = padded_grad(to_y, x), None
        if ctx.needs_input_grad[0]:
            to_x = (rows @ (weight * ctx.scale).to(rows.dtype))[: len(x)]
        to_weight = (rows.T @ with_padding(x)).to(weight.dtype).mul_(ctx.scale)
        to_bias = to_y.sum(0).to(weight.dtype).mul_(ctx.scale)
        return to_x, to_weight, to_bias, None, None


# Dropout from random bytes: on a CPU some fifteen times cheaper than a Bernoulli draw each.
#
# Drop rates are rounded to ``1/256`` (0.25 is exact, 0.1 becomes 26/256) and what is kept is scaled
# by the rate in use, so expectations are those of :class:`torch.nn.Dropout`.

_LEVELS = 256


class KeepMask:
    """``mask``: bytes of the given shape, 1 with probability ``1 / scale`` and else 0."""

    def __init__(self, shape: tuple[int, ...], keep: float, device: torch.device) -> None:
        level = max(1, round(keep * _LEVELS))
        self.scale = _LEVELS / level
        count = torch.Size(shape).numel()
        words = torch.empty(-(-count // 8), dtype=torch.int64, device=device)
        words.random_(-(2**63), None)
        # In place: the comparison stays a vector instruction on bytes.
        self.mask = words.view(torch.uint8)[:count].view(shape)
        if level < _LEVELS:
            self.mask.lt_(level)
        else:
            self.mask.fill_(1)


class Dropout(nn.Module):
    """As :class:`torch.nn.Dropout`, up to the rounding of ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Any shape; the input itself in evaluation mode or with ``p = 0``."""
        if not self.training or self.p == 0:
            return x
        dropped: Tensor = _Drop.apply(x, self.p)
        return dropped

    def extra_repr(self) -> str:
        """Shown by ``print(module)``."""
        return f"p={self.p}"


class _Drop(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, p: float) -> Tensor:
        kept = KeepMask(tuple(x.shape), 1 - p, x.device)
        ctx.kept = kept
        return x.mul(kept.mask).mul_(kept.scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad.mul(ctx.kept.mask).mul_(ctx.kept.scale), None


# Initialisers that published code applies to every linear layer of a model.


def xavier_linear(module: nn.Module) -> None:
    """Xavier-normal weights and zero biases in every ``Linear`` below ``module``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def kaiming_linear(module: nn.Module) -> None:
    """Kaiming-normal weights (fan in, gain sqrt 2), zero biases in every ``Linear`` below."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def orthogonal_layers(module: nn.Module) -> None:
    """Orthogonal weights and zero biases in every ``Linear`` and ``Conv1d`` below ``module``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            nn.init.orthogonal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
