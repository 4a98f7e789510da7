"""Reductions over the bags of a packed batch: deterministic, any bag size, nothing padded.

``offsets`` is ``(B + 1,)``, ``segment`` ``(sum N,)`` and ``sizes`` a tuple, as in
:class:`~mil_bench.contract.batch.BagBatch`; no bag is empty. The bodies are the formulas, bag by
bag; batches are computed by :mod:`mil_bench.nn.kernels.bags`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.kernels import bags
from mil_bench.nn.stock import computed_by


@computed_by(bags.softmax)
def segment_softmax(scores: Tensor, segment: Tensor, offsets: Tensor) -> Tensor:
    """``(sum N, K)`` -> ``(sum N, K)``: softmax within each bag, in float32 or more."""
    scores = full_precision(scores)
    weights = (scores - segment_max(scores, offsets).detach()[segment]).exp()
    return weights / segment_sum(weights, offsets)[segment]


@computed_by(bags.weighted_sums)
def segment_matmul(weights: Tensor, x: Tensor, segment: Tensor, sizes: Sequence[int]) -> Tensor:
    """``(sum N, K)`` and ``(sum N, D)`` -> ``(B, K, D)``: ``weights^T x`` within each bag.

    The result has the type of ``x``.
    """
    pairs = zip(*(torch.split(t, list(sizes)) for t in (weights.to(x.dtype), x)), strict=True)
    with as_written(x):
        return torch.stack([a.T @ rows for a, rows in pairs])


@computed_by(bags.sums)
def segment_sum(x: Tensor, offsets: Tensor) -> Tensor:
    """``(sum N, K)`` -> ``(B, K)``: sum over the instances of each bag, added up in float64."""
    return torch.stack([rows.double().sum(0) for rows in _bags(x, offsets)]).to(x.dtype)


def segment_mean(x: Tensor, offsets: Tensor) -> Tensor:
    """``(sum N, K)`` -> ``(B, K)``: mean over the instances of each bag."""
    return segment_sum(x, offsets) / offsets.diff().unsqueeze(-1).to(x.dtype)


@computed_by(bags.maxima)
def segment_max(x: Tensor, offsets: Tensor) -> Tensor:
    """``(sum N, K)`` -> ``(B, K)``: maximum over each bag; equal maxima share the gradient."""
    return torch.stack([rows.amax(0) for rows in _bags(x, offsets)])


def segment_map(x: Tensor, matrices: Tensor, sizes: Sequence[int]) -> Tensor:
    """``(sum N, D)`` and ``(B, D, K)`` -> ``(sum N, K)``: every bag's rows times its own matrix."""
    pairs = zip(torch.split(x, list(sizes)), matrices, strict=True)
    return torch.cat([rows @ matrix for rows, matrix in pairs])


def _bags(x: Tensor, offsets: Tensor) -> tuple[Tensor, ...]:
    # One by one: before torch 2.7, tolist fails on tensors that torch.func wraps.
    return torch.split(x, [int(length) for length in offsets.diff()])
