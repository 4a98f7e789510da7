"""Reductions over the bags of a packed batch: deterministic, any bag size, nothing padded.

``offsets`` is ``(B + 1,)``, ``segment`` ``(sum N,)`` and ``sizes`` a tuple, as in
:class:`~mil_bench.bags.batch.BagBatch`; no bag is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mil_bench.nn.blocks import block_matmul
from mil_bench.nn.casting import full_precision


def segment_sum(x: Tensor, offsets: Tensor) -> Tensor:
    """``(sum N, K)`` -> ``(B, K)``: sum over the instances of each bag."""
    return torch.segment_reduce(x, "sum", offsets=offsets, axis=0)


def segment_mean(x: Tensor, offsets: Tensor) -> Tensor:
    """``(sum N, K)`` -> ``(B, K)``: mean over the instances of each bag."""
    return segment_sum(x, offsets) / offsets.diff().unsqueeze(-1).to(x.dtype)


def segment_max(x: Tensor, offsets: Tensor) -> Tensor:
    """``(sum N, K)`` -> ``(B, K)``: maximum over the instances of each bag."""
    return torch.segment_reduce(x, "max", offsets=offsets, axis=0)


def segment_softmax(scores: Tensor, segment: Tensor, offsets: Tensor) -> Tensor:
    """``(sum N, K)`` -> ``(sum N, K)``: softmax within each bag, in float32 or more."""
    weights: Tensor = _SegmentSoftmax.apply(full_precision(scores), segment, offsets)
    return weights


def segment_matmul(weights: Tensor, x: Tensor, segment: Tensor, sizes: Sequence[int]) -> Tensor:
    """``(sum N, K)`` and ``(sum N, D)`` -> ``(B, K, D)``: ``weights^T x`` within each bag.

    On a CPU one product per bag; elsewhere a number of kernels that does not depend on the bags
    (:mod:`mil_bench.nn.blocks`). The result has the type of ``x``.
    """
    weights = weights.to(x.dtype)
    if x.device.type == "cpu":
        pooled: Tensor = _BagProducts.apply(weights, x, tuple(sizes))
        return pooled
    return block_matmul(weights, x, segment, sizes)


class _SegmentSoftmax(torch.autograd.Function):
    """Keeps its output alone: the gradient is ``a (g - sum_bag a g)``."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, segment: Tensor, offsets: Tensor) -> Tensor:
        if len(offsets) == 2:
            weights = scores.softmax(0)
        else:
            weights = (scores - segment_max(scores, offsets)[segment]).exp_()
            weights.div_(segment_sum(weights, offsets)[segment])
        ctx.save_for_backward(weights, segment, offsets)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        weights, segment, offsets = ctx.saved_tensors
        grad = grad * weights
        return grad - weights * segment_sum(grad, offsets)[segment], None, None


class _BagProducts(torch.autograd.Function):
    """``weights^T x`` bag by bag; the gradients are written straight into their packed place."""

    @staticmethod
    def forward(ctx: Any, weights: Tensor, x: Tensor, sizes: tuple[int, ...]) -> Tensor:
        ctx.sizes = sizes
        ctx.save_for_backward(weights, x)
        pooled = x.new_empty(len(sizes), weights.shape[1], x.shape[1])
        for out, w, rows in zip(pooled, weights.split(sizes), x.split(sizes), strict=True):
            torch.mm(w.T, rows, out=out)
        return pooled

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        weights, x = ctx.saved_tensors
        to_weights = torch.empty_like(weights) if ctx.needs_input_grad[0] else None
        to_x = torch.empty_like(x) if ctx.needs_input_grad[1] else None
        if to_weights is not None:
            for out, rows, one in zip(
                to_weights.split(ctx.sizes), x.split(ctx.sizes), grad, strict=True
            ):
                torch.mm(rows, one.T, out=out)
        if to_x is not None:
            for out, w, one in zip(
                to_x.split(ctx.sizes), weights.split(ctx.sizes), grad, strict=True
            ):
                torch.mm(w, one, out=out)
        return to_weights, to_x, None
