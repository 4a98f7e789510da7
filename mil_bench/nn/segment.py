"""Reductions over the bags of a packed batch, and their highest-scoring instances.

Deterministic, for any bag size, without padding.

``offsets`` is ``(B + 1,)``, ``segment`` ``(sum N,)`` and ``sizes`` a tuple, as in
:class:`~mil_bench.contract.batch.BagBatch`; no bag is empty. The bodies are the formulas, bag by
bag; batches are computed by :mod:`mil_bench.nn.kernels.bags`.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F

from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.kernels import bags
from mil_bench.nn.stock import computed_by


@computed_by(bags.softmax)
def segment_softmax(scores: Tensor, segment: Tensor, offsets: Tensor) -> Tensor:
    """Return ``(sum N, K)`` -> ``(sum N, K)``: softmax within each bag, in float32 or more."""
    scores = full_precision(scores)
    weights = (scores - segment_max(scores, offsets).detach()[segment]).exp()
    return weights / segment_sum(weights, offsets)[segment]


@computed_by(bags.weighted_sums)
def segment_matmul(weights: Tensor, x: Tensor, segment: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return ``(sum N, K)`` and ``(sum N, D)`` -> ``(B, K, D)``: ``weights^T x`` within each bag.

    The result has the type of ``x``.
    """
    pairs = zip(*(torch.split(t, list(sizes)) for t in (weights.to(x.dtype), x)), strict=True)
    with as_written(x):
        return torch.stack([a.T @ rows for a, rows in pairs])


@computed_by(bags.sums)
def segment_sum(x: Tensor, offsets: Tensor) -> Tensor:
    """Return ``(sum N, K)`` -> ``(B, K)``: sum over the instances of each bag, added up in
    float64.
    """
    return torch.stack([rows.double().sum(0) for rows in _bags(x, offsets)]).to(x.dtype)


def segment_mean(x: Tensor, offsets: Tensor) -> Tensor:
    """Return ``(sum N, K)`` -> ``(B, K)``: mean over the instances of each bag."""
    return segment_sum(x, offsets) / offsets.diff().unsqueeze(-1).to(x.dtype)


@computed_by(bags.maxima)
def segment_max(x: Tensor, offsets: Tensor) -> Tensor:
    """Return ``(sum N, K)`` -> ``(B, K)``: maximum over each bag; equal maxima share the
    gradient.
    """
    return torch.stack([rows.amax(0) for rows in _bags(x, offsets)])


def segment_map(x: Tensor, matrices: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return ``(sum N, D)`` and ``(B, D, K)`` -> ``(sum N, K)``: every bag's rows times its own
    matrix.
    """
    pairs = zip(torch.split(x, list(sizes)), matrices, strict=True)
    return torch.cat([rows @ matrix for rows, matrix in pairs])


def _bags(x: Tensor, offsets: Tensor) -> tuple[Tensor, ...]:
    # One by one: before torch 2.7, tolist fails on tensors that torch.func wraps.
    return torch.split(x, [int(length) for length in offsets.diff()])


def segment_topk(scores: Tensor, k: int, segment: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return ``(sum N, K)`` -> ``(B, k', K)``: packed rows of the largest scores of each bag and
    column.

    Largest first. ``k'`` is ``k`` or the largest bag if that is smaller. A bag with fewer rows
    repeats its first row, and :func:`within` marks the places that count.
    """
    k = min(k, max(sizes))
    if scores.device.type == "cpu":
        return _bag_by_bag(scores, k, sizes)
    return _by_sorting(scores, k, segment, sizes)


def within(k: int, offsets: Tensor) -> Tensor:
    """Return ``(B, k)``: whether a bag has an instance for each of ``k`` places."""
    return torch.arange(k, device=offsets.device) < offsets.diff().unsqueeze(1)


def _bag_by_bag(scores: Tensor, k: int, sizes: Sequence[int]) -> Tensor:
    rows = []
    starts = accumulate(sizes, initial=0)
    for start, bag in zip(starts, torch.split(scores, list(sizes)), strict=False):
        chosen = bag.topk(min(k, len(bag)), 0).indices
        rows.append(F.pad(chosen, (0, 0, 0, k - len(chosen))) + start)
    return torch.stack(rows)


def _by_sorting(scores: Tensor, k: int, segment: Tensor, sizes: Sequence[int]) -> Tensor:
    """Two stable sorts, by score and then by bag: a number of kernels independent of the bags."""
    order = scores.argsort(dim=0, descending=True, stable=True)
    order = order.gather(0, segment[order].argsort(dim=0, stable=True))
    ends = torch.tensor([0, *sizes]).cumsum(0).to(scores.device, non_blocking=True)
    start, size = ends[:-1, None], ends.diff()[:, None]
    place = torch.arange(k, device=scores.device)
    places = torch.where(place < size, start + place, start)
    rows = order[places]  # (B, k, K)
    return torch.where((place < size).unsqueeze(2), rows, start.unsqueeze(2))
