"""The iterated pseudo-inverse of Nystrom attention (Razavi et al., 2014), on symmetric matrices.

``Z <- Z/4 (13 I - A Z (15 I - A Z (7 I - A Z)))`` from ``Z = c A^T``. With ``K = sqrt(c) A`` the
product ``W = A Z`` starts as the symmetric ``K K^T`` and stays a polynomial of it:

    W <- f(W) = W q(W),   Z <- Z q(W),   q(w) = (13 - w (15 - w (7 - w))) / 4

Completing the square, ``f(w) = -(u^2 + 11/4 u - 27/8 w) / 4`` with ``u = w^2 - 7/2 w``: a step
takes two products instead of four, and since only the symmetric part of a gradient reaches
``K``, each takes one in the backward pass instead of two. Neither the last ``W`` nor any ``Z``
is formed: ``q`` is applied to the block that the inverse is multiplied with.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from mil_bench.contract.numerics import as_written

_ONE, _TWO = 27 / 32, 11 / 16  # coefficients of w and -u in f


def inverse_times(k: Tensor, x: Tensor, iterations: int) -> Tensor:
    """``K (b, r, r)``, ``X (b, r, c)`` -> ``P X`` with ``K^T P = Z / sqrt(c)``.

    ``P`` is the product of all ``q(W)``, the iterated inverse of ``K K^T``.
    """
    result: Tensor = _Iteration.apply(k, x, iterations, False)
    return result


def projection_times(k: Tensor, x: Tensor, iterations: int) -> Tensor:
    """``K (b, r, r)``, ``X (b, r, c)`` -> ``A Z X``, the iterated projection on the range of A."""
    result: Tensor = _Iteration.apply(k, x, iterations, True)
    return result


class _Iteration(Function):
    """``w`` and ``u`` are saved of every step but the last, where ``w`` only meets blocks."""

    @staticmethod
    def forward(ctx: Any, k: Tensor, x: Tensor, iterations: int, project: bool) -> Tensor:
        w = torch.bmm(k, k.mT)
        matrices, blocks = [], []
        for _ in range(iterations - 1):
            u = torch.baddbmm(w, w, w, beta=-3.5)
            matrices += [w, u]
            if not project:
                t = torch.baddbmm(x, w, x, beta=-3.5)
                blocks += [x, t]
                x = x.sub(t, alpha=_TWO / _ONE).baddbmm_(u, t, beta=_ONE, alpha=-0.25)
            w = w.sub(u, alpha=_TWO / _ONE).baddbmm_(u, u, beta=_ONE, alpha=-0.25)
        if project:
            blocks.append(x)
            x = torch.bmm(w, x)
        t = torch.baddbmm(x, w, x, beta=-3.5)
        s = torch.bmm(w, t)
        ctx.save_for_backward(k, w, x, t, s, *matrices, *blocks)
        ctx.steps, ctx.project = iterations - 1, project
        y = x.mul(_ONE).sub_(t, alpha=_TWO).add_(s, alpha=0.875)
        return y.baddbmm_(w, s, alpha=-0.25)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor, None, None]:
        with as_written(g):
            return *_gradients(ctx, g), None, None


def _gradients(ctx: Any, g: Tensor) -> tuple[Tensor, Tensor]:
    """To ``k`` and ``x``. Gradients of symmetric matrices are ``half + half^T``."""
    k, w, x, t, s, *saved = ctx.saved_tensors
    matrices, blocks = saved[: 2 * ctx.steps], saved[2 * ctx.steps :]
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
