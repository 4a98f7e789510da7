"""The first layer of most methods, which keeps nothing but its input and its output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mil_bench.bags.rows import roomy_empty, roomy_like, rows_of, whole
from mil_bench.nn.affine import Features, as_affine
from mil_bench.nn.casting import as_written, compute_dtype
from mil_bench.nn.dropout import KeepMask


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
        y = roomy_empty(len(x), len(weight), dtype, x.device)
        both = (whole(x), whole(y)) if len(whole(x)) == len(whole(y)) else (x, y)
        torch.addmm(b.to(dtype), both[0], w.to(dtype).T, out=both[1])
        y.relu_()
        if kept:
            y.mul_(kept.mask)
        ctx.save_for_backward(x, weight, y)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        to_y = roomy_like(y)
        torch.ops.aten.threshold_backward(grad, y, 0, grad_input=to_y)
        rows, to_x = rows_of(to_y, x), None
        if ctx.needs_input_grad[0]:
            to_x = (rows @ (weight * ctx.scale).to(rows.dtype))[: len(x)]
        to_weight = (rows.T @ whole(x)).to(weight.dtype).mul_(ctx.scale)
        to_bias = to_y.sum(0).to(weight.dtype).mul_(ctx.scale)
        return to_x, to_weight, to_bias, None, None
