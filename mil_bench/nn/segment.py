"""Reductions over the bags of a packed batch: one kernel each, deterministic, any bag size.

``offsets`` is ``(B + 1,)`` as in :class:`~mil_bench.bags.batch.BagBatch`; no bag is empty.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


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
    """``(sum N, K)`` -> ``(sum N, K)``: softmax over the instances of each bag, in float32 or more.

    ``segment`` is the bag of every row, ``(sum N,)``.
    """
    scores = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
    peak = segment_max(scores.detach(), offsets)
    weights = (scores - peak[segment]).exp()
    return weights / segment_sum(weights, offsets)[segment]


def segment_matmul(weights: Tensor, x: Tensor, sizes: Sequence[int]) -> Tensor:
    """``(sum N, K)`` and ``(sum N, D)`` -> ``(B, K, D)``: ``weights^T x`` within each bag."""
    pairs = zip(torch.split(weights, list(sizes)), torch.split(x, list(sizes)), strict=True)
    return torch.stack([w.T.to(rows.dtype) @ rows for w, rows in pairs])
