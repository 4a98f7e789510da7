"""The iterated pseudo-inverse of Nystrom attention (Razavi et al., 2014), on symmetric matrices.

``Z <- Z/4 (13 I - A Z (15 I - A Z (7 I - A Z)))`` from ``Z = c A^T``. With ``K = sqrt(c) A`` the
product ``W = A Z`` starts as the symmetric ``K K^T`` and stays a polynomial of it:

    W <- f(W) = W q(W),   Z <- Z q(W),   q(w) = (13 - w (15 - w (7 - w))) / 4

Completing the square, ``f(w) = -(u^2 + 11/4 u - 27/8 w) / 4`` with ``u = w^2 - 7/2 w``. So a step
takes two products instead of four. Each takes one product in the backward pass instead of two,
because only the symmetric part of a gradient reaches ``K``. Neither the last ``W`` nor any ``Z``
is formed: ``q`` is applied to the block that the inverse is multiplied with.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from mil_bench.contract.numerics import as_written
from mil_bench.nn.stock import first_order

_ONE, _TWO = 27 / 32, 11 / 16  # coefficients of w and -u in f


def inverse_times(k: Tensor, x: Tensor, iterations: int) -> Tensor:
    """Return kernel of :func:`mil_bench.nn.nystrom.inverse_times`."""
    result: Tensor = _Iteration.apply(k, x, iterations, False)[0]
    return result


def projection_times(k: Tensor, x: Tensor, iterations: int) -> Tensor:
    """Return kernel of :func:`mil_bench.nn.nystrom.projection_times`."""
    result: Tensor = _Iteration.apply(k, x, iterations, True)[0]
    return result


class _Iteration(Function):
    """The result, and outputs to be saved: ``w, s``, ``w, u`` per step, ``x, t`` per block.

    ``w`` and ``u`` are saved of every step but the last, where ``w`` only meets blocks. The first
    ``x`` is the input.
    """

    @staticmethod
    def forward(k: Tensor, x: Tensor, iterations: int, project: bool) -> tuple[Tensor, ...]:
        w = torch.bmm(k, k.mT)
        matrices, blocks = [], [x]
        for _ in range(iterations - 1):
            u = torch.baddbmm(w, w, w, beta=-3.5)
            matrices += [w, u]
            if not project:
                t = torch.baddbmm(x, w, x, beta=-3.5)
                x = x.sub(t, alpha=_TWO / _ONE).baddbmm_(u, t, beta=_ONE, alpha=-0.25)
                blocks += [t, x]
            w = w.sub(u, alpha=_TWO / _ONE).baddbmm_(u, u, beta=_ONE, alpha=-0.25)
        if project:
            x = torch.bmm(w, x)
            blocks.append(x)
        t = torch.baddbmm(x, w, x, beta=-3.5)
        s = torch.bmm(w, t)
        y = x.mul(_ONE).sub_(t, alpha=_TWO).add_(s, alpha=0.875)
        y.baddbmm_(w, s, alpha=-0.25)
        return y, w, s, *matrices, *blocks[1:], t

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, Tensor, int, bool], output: tuple[Tensor, ...]
    ) -> None:
        k, x, iterations, ctx.project = inputs
        _, w, s, *rest = output
        ctx.steps = iterations - 1
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)  # no zeros for outputs that are only saved
        matrices, blocks = rest[: 2 * ctx.steps], rest[2 * ctx.steps :]
        ctx.save_for_backward(k, w, s, *matrices, x, *blocks)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor, *_: None) -> tuple[Tensor | None, ...]:
        with as_written(grad):
            return *_gradients(ctx, grad), None, None


def _gradients(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
    """To ``k`` and ``x``. Gradients of symmetric matrices are ``half + half^T``."""
    k, w, s, *saved = ctx.saved_tensors
    matrices, blocks = saved[: 2 * ctx.steps], saved[2 * ctx.steps :]
    t, x = blocks.pop(), blocks.pop()
    g = g * -0.25
    gs = torch.baddbmm(g, w, g, beta=-3.5)
    gt = torch.baddbmm(g, w, gs, beta=2.75)
    gx = g.mul(-3.375).sub_(gt, alpha=3.5).baddbmm_(w, gt)
    half = torch.bmm(g, s.mT).baddbmm_(gs, t.mT).baddbmm_(gt, x.mT)
    if ctx.project:
        half.baddbmm_(gx, blocks.pop().mT)
        gx = torch.bmm(w, gx)
    gw = (half + half.mT).mul_(0.5)
    for _ in range(ctx.steps):
        u, w = matrices.pop(), matrices.pop()
        half = torch.baddbmm(gw, gw, u, beta=-_TWO / 2, alpha=-0.25)
        if not ctx.project:
            t, x = blocks.pop(), blocks.pop()
            g = gx * -0.25
            gt = torch.baddbmm(g, u, g, beta=2.75)
            gx = g.mul(-3.375).sub_(gt, alpha=3.5).baddbmm_(w, gt)
            half.baddbmm_(g, t.mT, alpha=0.5)
        gu = half + half.mT
        half = gw.mul_(_ONE / 2).sub_(gu, alpha=1.75).baddbmm_(gu, w)
        if not ctx.project:
            half.baddbmm_(gt, x.mT, alpha=0.5)
        gw = half + half.mT
    return torch.bmm(gw, k).mul_(2), gx
