"""Linear layer, ReLU and dropout in one step that keeps nothing but its output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mil_bench.nn.casting import as_written, compute_dtype
from mil_bench.nn.dropout import KeepMask


class Projection(nn.Sequential):
    """``dropout(relu(W x + b))``, the first layer of most MIL methods.

    Parameters are those of ``Sequential(Linear, ReLU)``. The backward pass needs only where the
    output is positive, because a dropped entry and a negative one both pass no gradient.
    """

    def __init__(self, in_dim: int, out_dim: int, dropout: float = 0.0) -> None:
        super().__init__(nn.Linear(in_dim, out_dim), nn.ReLU())
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        """``(N, in_dim)`` -> ``(N, out_dim)``, in autocast's type where that is on."""
        linear = self[0]
        p = self.dropout if self.training else 0.0
        dtype = compute_dtype(x)
        with as_written(x):
            y: Tensor = _Projection.apply(x, linear.weight, linear.bias, p, dtype)
        return y


class _Projection(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, p: float, dtype: torch.dtype
    ) -> Tensor:
        kept = KeepMask((len(x), len(weight)), 1 - p, x.device) if p else None
        ctx.scale = kept.scale if kept else 1.0
        x = x.to(dtype)
        # relu(c x) = c relu(x) for c > 0: the scale of dropout goes into the weights.
        w, b = (weight * ctx.scale, bias * ctx.scale) if kept else (weight, bias)
        y = F.linear(x, w.to(dtype), b.to(dtype)).relu_()
        if kept:
            y.mul_(kept.mask)
        ctx.save_for_backward(x, weight, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None, None]:
        x, weight, y = ctx.saved_tensors
        grad = torch.ops.aten.threshold_backward(grad, y, 0)
        to_x = (grad @ weight.to(grad.dtype)).mul_(ctx.scale) if ctx.needs_input_grad[0] else None
        to_weight = (grad.T @ x).to(weight.dtype).mul_(ctx.scale)
        to_bias = grad.sum(0).to(weight.dtype).mul_(ctx.scale)
        return to_x, to_weight, to_bias, None, None
