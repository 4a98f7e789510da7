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
    """Compute :func:`mil_bench.nn.nystrom.inverse_times`."""
    result: Tensor = _Iteration.apply(k, x, iterations, False)[0]
    return result


def projection_times(k: Tensor, x: Tensor, iterations: int) -> Tensor:
    """Compute :func:`mil_bench.nn.nystrom.projection_times`."""
    result: Tensor = _Iteration.apply(k, x, iterations, True)[0]
    return result


class _Iteration(Function):
    """The result, and outputs to be saved: ``w, s``, ``w, u`` per step, ``x, t`` per block.

    ``w`` and ``u`` are saved of every step but the last, where ``w`` only meets blocks. The first
    ``x`` is the input.
    """

    @staticmethod
    def forward(k: Tensor, x: Tensor, iterations: int, project: bool) -> tuple[Tensor, ...]:
        w = torch.bmm(k, k.mT)  # (b, r, r), symmetric; every W below commutes with it
        matrices, blocks = [], [x]
        for _ in range(iterations - 1):
            u = torch.baddbmm(w, w, w, beta=-3.5)  # u = W W - 7/2 W
            matrices += [w, u]
            if not project:
                t = torch.baddbmm(x, w, x, beta=-3.5)  # t = W x - 7/2 x
                # q(W) x = 27/32 x - 11/16 t - 1/4 u t, since u = W (W - 7/2).
                x = x.sub(t, alpha=_TWO / _ONE).baddbmm_(u, t, beta=_ONE, alpha=-0.25)
                blocks += [t, x]
            # f(W) = 27/32 W - 11/16 u - 1/4 u u
            w = w.sub(u, alpha=_TWO / _ONE).baddbmm_(u, u, beta=_ONE, alpha=-0.25)
        if project:
            x = torch.bmm(w, x)  # A Z X = W q(W) X, and W q(W) = q(W) W
            blocks.append(x)
        # The last step acts on blocks only: u t = W W t - 7/2 W t spares the matrix u.
        t = torch.baddbmm(x, w, x, beta=-3.5)
        s = torch.bmm(w, t)
        # -1/4 u t has +7/8 s and the -1/4 W s below.
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
    # Back through y = 27/32 x - 11/16 t + 7/8 s - 1/4 W s, in units of g = -dy / 4.
    g = g * -0.25
    gs = torch.baddbmm(g, w, g, beta=-3.5)  # to s: W g - 7/2 g
    gt = torch.baddbmm(g, w, gs, beta=2.75)  # to t, by y and by s = W t
    gx = g.mul(-3.375).sub_(gt, alpha=3.5).baddbmm_(w, gt)  # to x, by y and by t = W x - 7/2 x
    half = torch.bmm(g, s.mT).baddbmm_(gs, t.mT).baddbmm_(gt, x.mT)  # to W of all three products
    if ctx.project:
        half.baddbmm_(gx, blocks.pop().mT)  # the block before x = W x
        gx = torch.bmm(w, gx)
    # The symmetric part of half: an antisymmetric one cancels in the gradient of K K^T.
    gw = (half + half.mT).mul_(0.5)
    for _ in range(ctx.steps):
        u, w = matrices.pop(), matrices.pop()
        # To u by f(W): -11/16 gw - 1/4 (gw u + u gw), as half + half^T.
        half = torch.baddbmm(gw, gw, u, beta=-_TWO / 2, alpha=-0.25)
        if not ctx.project:
            t, x = blocks.pop(), blocks.pop()
            g = gx * -0.25
            gt = torch.baddbmm(g, u, g, beta=2.75)  # to t of q(W) x = 27/32 x - 11/16 t - 1/4 u t
            gx = g.mul(-3.375).sub_(gt, alpha=3.5).baddbmm_(w, gt)
            half.baddbmm_(g, t.mT, alpha=0.5)  # to u, symmetric part
        gu = half + half.mT
        # To W by f(W) and by u = W W - 7/2 W.
        half = gw.mul_(_ONE / 2).sub_(gu, alpha=1.75).baddbmm_(gu, w)
        if not ctx.project:
            half.baddbmm_(gt, x.mT, alpha=0.5)  # to W by t = W x - 7/2 x
        gw = half + half.mT
    return torch.bmm(gw, k).mul_(2), gx  # W = K K^T with symmetric gradient
