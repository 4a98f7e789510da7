"""The two dense layers that take most of a step's time: projection and attention scores.

=========================  =================================================
kernel                     formula
=========================  =================================================
:func:`projected`          ``y = dropout(relu(W x + b))``
:func:`attention_scores`   ``s = w dropout(tanh(V x) * sigmoid(U x)) + b``
=========================  =================================================

Products run over all of the memory under the rows (:mod:`mil_bench.contract.batch`), so that they
have few shapes. Weights are float32 and are rounded to the type of ``x`` on every call; their
gradients are float32 again.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from mil_bench.contract.batch import padded_empty, padded_empty_like, padded_grad, with_padding
from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.kernels.dropout import KeepMask
from mil_bench.nn.stock import first_order


def projected(x: Tensor, weight: Tensor, bias: Tensor, p: float, dtype: torch.dtype) -> Tensor:
    """Compute :func:`mil_bench.nn.layers.projected`."""
    with as_written(x):
        drawn = KeepMask((len(x), len(weight)), 1 - p, x.device) if p else None  # (N, D)
        mask, scale = (drawn.mask, drawn.scale) if drawn else (None, 1.0)
        y: Tensor = _Projected.apply(x.to(dtype), weight, bias, mask, scale)
    return y


class _Projected(Function):
    """Saves its input and its output.

    Where the output is zero no gradient passes, whether the entry was negative or dropped. So
    neither the mask nor the input of the ReLU is saved.
    """

    @staticmethod
    def forward(
        x: Tensor, weight: Tensor, bias: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        # relu(c x) = c relu(x) for c > 0: the scale of dropout goes into the weights.
        w, b = (weight * scale, bias * scale) if mask is not None else (weight, bias)
        y = padded_empty(len(x), len(weight), x.dtype, x.device)
        # Where both have padding, the product includes it: finite rows that are never read.
        rows, out = with_padding(x), with_padding(y)
        if len(rows) != len(out):
            rows, out = x, y  # rows only: the padding of y is zero already
        torch.addmm(b.to(x.dtype), rows, w.to(x.dtype).T, out=out)
        y.relu_()
        if mask is not None:
            y.mul_(mask)
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, _, ctx.scale = inputs
        ctx.save_for_backward(x, weight, output)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, y = ctx.saved_tensors
        # dy where y > 0; the scale of dropout comes in through the weights below.
        to_y = padded_empty_like(y)
        torch.ops.aten.threshold_backward(grad, y, 0, grad_input=to_y)
        rows, to_x = padded_grad(to_y, x), None
        if ctx.needs_input_grad[0]:  # not for stored features: the largest product is spared
            to_x = (rows @ (weight * ctx.scale).to(rows.dtype))[: len(x)]
        # (D, N) (N, d): gradient rows of padding are zero, so what x holds there does not count.
        to_weight = (rows.T @ with_padding(x)).to(weight.dtype).mul_(ctx.scale)
        to_bias = to_y.sum(0).to(weight.dtype).mul_(ctx.scale)
        return to_x, to_weight, to_bias, None, None


def attention_scores(
    x: Tensor, weight: Tensor, bias: Tensor, w: Tensor, b: Tensor, keep: float, dtype: torch.dtype
) -> Tensor:
    """Compute :func:`mil_bench.nn.layers.attention_scores`."""
    with as_written(x):
        x = x.to(dtype)
        # hidden has the rows of padding too, and the mask must have its shape.
        drawn = KeepMask((len(with_padding(x)), w.shape[1]), keep, x.device) if keep < 1 else None
        mask, scale = (drawn.mask, drawn.scale) if drawn else (None, 1.0)
        s: Tensor = _Scores.apply(x, weight, bias, w, b, mask, scale)[0]
    return s


class _Scores(Function):
    """Scores, and ``tanh(V x)`` next to ``sigmoid(U x)``, an output only in order to be saved.

    ``weight`` holds V above U, or V only: one product computes both gates. Saves ``x``, the second
    output and the bytes of one mask, since two independent dropouts of a product are one.
    """

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        w: Tensor,
        b: Tensor,
        mask: Tensor | None,
        scale: float,
    ) -> tuple[Tensor, Tensor]:
        # (N, 2 H) or (N, H)
        hidden = F.linear(with_padding(x), weight.to(x.dtype), bias.to(x.dtype))
        value, *gates = torch.split(hidden, w.shape[1], 1)
        # In place: the backward pass of tanh and sigmoid reads their results, not their inputs.
        value.tanh_()
        for gate in gates:
            gate.sigmoid_()
        # The mask keeps entries unscaled; w takes the scale, a (K, H) product instead of (N, H).
        return F.linear(_gated(hidden, w.shape[1], mask), w * scale, b)[: len(x)], hidden

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        x, weight, bias, w, _, mask, ctx.scale = inputs
        hidden = output[1]
        ctx.mark_non_differentiable(hidden)
        ctx.set_materialize_grads(False)  # no zeros for outputs that are only saved
        # The gradient does not read bias: saved, it refuses a second derivative (nn.stock).
        ctx.save_for_backward(x, weight, hidden, w, mask, bias)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor | None, ...]:
        x, weight, hidden, w, mask, _ = ctx.saved_tensors
        width, scale = w.shape[1], ctx.scale
        grad = padded_grad(grad, x)
        to_w = (grad.T @ _gated(hidden, width, mask)).mul_(scale)  # w met unscaled gates
        inner = (grad @ (w * scale)).to(hidden.dtype)  # (N, H): to tanh * sigmoid
        if mask is not None:
            inner.mul_(mask)
        to_hidden = torch.empty_like(hidden)
        value, *gates = torch.split(hidden, width, 1)
        to_value, *to_gates = torch.split(to_hidden, width, 1)
        for gate, to_gate in zip(gates, to_gates, strict=True):
            # The sigmoid's share needs inner before the factor of the tanh's share goes into it.
            torch.ops.aten.sigmoid_backward(inner * value, gate, grad_input=to_gate)
            inner.mul_(gate)
        torch.ops.aten.tanh_backward(inner, value, grad_input=to_value)
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = (to_hidden @ weight.to(hidden.dtype))[: len(x)]
        to_weight = (to_hidden.T @ with_padding(x)).to(weight.dtype)
        to_bias = to_hidden.sum(0).to(weight.dtype)
        return to_x, to_weight, to_bias, to_w, grad.sum(0), None, None


def _gated(hidden: Tensor, width: int, mask: Tensor | None) -> Tensor:
    """``tanh * sigmoid * mask`` ``(N, width)`` in float32 or more, without the mask's scale."""
    value, *gates = torch.split(hidden, width, 1)
    product = value * gates[0] if gates else value.clone()
    if mask is not None:
        product.mul_(mask)
    return full_precision(product)  # a softmax reads them; bfloat16 keeps 8 bits
