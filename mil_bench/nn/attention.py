"""The attention network that scores instances: plain or gated, one column per branch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mil_bench.contract.numerics import as_written, compute_dtype, full_precision
from mil_bench.contract.rows import padded_grad, with_padding
from mil_bench.nn.layers import Affine, Features, KeepMask, as_affine
from mil_bench.nn.parts import by_parts


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
        dtype = compute_dtype(h.x)
        with as_written(h.x):
            scores: Tensor = _Scores.apply(
                h.x,
                *h.folded(
                    torch.cat([layer.weight for layer in layers]),
                    torch.cat([layer.bias for layer in layers]),
                ),
                self.score.weight,
                self.score.bias,
                (1 - self.dropout) ** len(layers) if self.training else 1.0,
                dtype,
            )
        return scores


class _Scores(torch.autograd.Function):
    """``w (tanh(V h) * sigmoid(U h) * mask) + b`` with V above U in one matrix, or V alone.

    One multiplication serves both gates, and two independent dropouts of a product are one. Kept
    for the backward pass are ``h``, the tanh, the sigmoid and the mask's bytes.
    """

    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        weight: Tensor,
        bias: Tensor,
        w: Tensor,
        b: Tensor,
        keep: float,
        dtype: torch.dtype,
    ) -> Tensor:
        h = h.to(dtype)
        hidden = F.linear(with_padding(h), weight.to(dtype), bias.to(dtype))
        value, *gate = torch.split(hidden, w.shape[1], 1)
        value.tanh_()
        for gate_ in gate:
            gate_.sigmoid_()
        kept = KeepMask(tuple(value.shape), keep, h.device) if keep < 1 else None
        ctx.kept = kept
        ctx.save_for_backward(h, weight, hidden, w)
        scale = kept.scale if kept else 1.0
        return F.linear(_gated(hidden, w.shape[1], kept), w * scale, b)[: len(h)]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, weight, hidden, w = ctx.saved_tensors
        width, scale = w.shape[1], ctx.kept.scale if ctx.kept else 1.0
        grad = padded_grad(grad, h)
        to_w = (grad.T @ _gated(hidden, width, ctx.kept)).mul_(scale)
        inner = (grad @ (w * scale)).to(hidden.dtype)
        if ctx.kept:
            inner.mul_(ctx.kept.mask)
        to_hidden = torch.empty_like(hidden)
        value, *gate = torch.split(hidden, width, 1)
        to_value, *to_gate = torch.split(to_hidden, width, 1)
        for one, to_one in zip(gate, to_gate, strict=True):
            torch.ops.aten.sigmoid_backward(inner * value, one, grad_input=to_one)
            inner.mul_(one)
        torch.ops.aten.tanh_backward(inner, value, grad_input=to_value)
        to_h = None
        if ctx.needs_input_grad[0]:
            to_h = (to_hidden @ weight.to(hidden.dtype))[: len(h)]
        to_weight = (to_hidden.T @ with_padding(h)).to(weight.dtype)
        to_bias = to_hidden.sum(0).to(weight.dtype)
        return to_h, to_weight, to_bias, to_w, grad.sum(0), None, None


def _gated(hidden: Tensor, width: int, kept: KeepMask | None) -> Tensor:
    """``tanh * sigmoid * mask`` ``(N, width)`` in float32 or more, without the mask's scale."""
    value, *gate = torch.split(hidden, width, 1)
    product = value * gate[0] if gate else value.clone()
    if kept:
        product.mul_(kept.mask)
    return full_precision(product)
