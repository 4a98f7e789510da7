"""Reductions over the bags of a packed batch: deterministic, any bag size, nothing padded.

``offsets`` is ``(B + 1,)``, ``segment`` ``(sum N,)`` and ``sizes`` a tuple, as in
:class:`~mil_bench.contract.batch.BagBatch`; no bag is empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.kernels.bags import BlockProducts


def segment_sum(x: Tensor, offsets: Tensor) -> Tensor:
    """``(sum N, K)`` -> ``(B, K)``: sum over the instances of each bag.

    Added up in float64: the kernel adds one row after another, and in float32 the gradient of a
    softmax over 8,000 instances would be wrong by 1e-5.
    """
    return torch.segment_reduce(x.double(), "sum", offsets=offsets, axis=0).to(x.dtype)


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

    The result has the type of ``x``.
    """
    weights = weights.to(x.dtype)
    with as_written(x):
        pooled: Tensor = BlockProducts.apply(weights, x, segment, tuple(sizes))
    return pooled


def segment_map(x: Tensor, matrices: Tensor, sizes: Sequence[int]) -> Tensor:
    """``(sum N, D)`` and ``(B, D, K)`` -> ``(sum N, K)``: every bag's rows times its own matrix."""
    bags = zip(x.split_with_sizes(list(sizes)), matrices, strict=True)
    return torch.cat([rows @ matrix for rows, matrix in bags])


class _SegmentSoftmax(torch.autograd.Function):
    """Keeps its output alone: the gradient is ``a (g - sum_bag a g)``."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor, segment: Tensor, offsets: Tensor) -> Tensor:
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
