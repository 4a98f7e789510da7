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
    """Compute the softmax within each bag of ``(sum N, K)``, in float32 or more."""
    scores = full_precision(scores)
    # Shifting by the maximum prevents overflow and cancels in the quotient: no gradient passes.
    weights = (scores - segment_max(scores, offsets).detach()[segment]).exp()
    return weights / segment_sum(weights, offsets)[segment]


@computed_by(bags.weighted_sums)
def segment_matmul(weights: Tensor, x: Tensor, segment: Tensor, sizes: Sequence[int]) -> Tensor:
    """Compute ``weights^T x`` within each bag: ``(sum N, K)``, ``(sum N, D)`` -> ``(B, K, D)``.

    The result has the type of ``x``.
    """
    pairs = zip(*(_parts(t, sizes) for t in (weights.to(x.dtype), x)), strict=True)
    with as_written(x):
        return torch.stack([a.T @ rows for a, rows in pairs])  # (K, N_b) (N_b, D)


@computed_by(bags.sums)
def segment_sum(x: Tensor, offsets: Tensor) -> Tensor:
    """Sum the instances of each bag in float64: ``(sum N, K)`` -> ``(B, K)``."""
    return torch.stack([rows.double().sum(0) for rows in _bags(x, offsets)]).to(x.dtype)


def segment_mean(x: Tensor, offsets: Tensor) -> Tensor:
    """Average the instances of each bag: ``(sum N, K)`` -> ``(B, K)``."""
    return segment_sum(x, offsets) / offsets.diff().unsqueeze(-1).to(x.dtype)  # no bag is empty


@computed_by(bags.maxima)
def segment_max(x: Tensor, offsets: Tensor) -> Tensor:
    """Return the maximum of each bag: ``(sum N, K)`` -> ``(B, K)``.

    Equal maxima share the gradient.
    """
    # amax divides the gradient among equal maxima, max does not.
    return torch.stack([rows.amax(0) for rows in _bags(x, offsets)])


def segment_map(x: Tensor, matrices: Tensor, sizes: Sequence[int]) -> Tensor:
    """Multiply the rows ``(sum N, D)`` of every bag by its matrix ``(D, K)``: ``(sum N, K)``."""
    pairs = zip(_parts(x, sizes), matrices, strict=True)
    return torch.cat([rows @ matrix for rows, matrix in pairs])


def _bags(x: Tensor, offsets: Tensor) -> tuple[Tensor, ...]:
    if len(offsets) == 2:
        return (x,)
    # One by one: before torch 2.7, tolist fails on tensors that torch.func wraps.
    return torch.split(x, [int(length) for length in offsets.diff()])


def _parts(x: Tensor, sizes: Sequence[int]) -> tuple[Tensor, ...]:
    # A single bag is not split: a traced model would keep the size of the bag it was traced with.
    return (x,) if len(sizes) == 1 else torch.split(x, list(sizes))


def segment_topk(scores: Tensor, k: int, segment: Tensor, sizes: Sequence[int]) -> Tensor:
    """Return packed rows of the ``k`` largest scores per bag and column: ``(B, k', K)``.
    ``scores`` are ``(sum N, K)``. Largest first. ``k'`` is ``k`` or the largest bag if that is
    smaller. A bag with fewer rows repeats its first row, and :func:`within` marks the places
    that count.
    """
    k = min(k, max(sizes))
    # A CPU selects within a bag faster than it sorts; on a GPU B small kernels are the slower way.
    if scores.device.type == "cpu":
        return _bag_by_bag(scores, k, sizes)
    return _by_sorting(scores, k, segment, sizes)


def within(k: int, offsets: Tensor) -> Tensor:
    """Return ``(B, k)``: whether a bag has an instance for each of ``k`` places."""
    return torch.arange(k, device=offsets.device) < offsets.diff().unsqueeze(1)


def _bag_by_bag(scores: Tensor, k: int, sizes: Sequence[int]) -> Tensor:
    rows = []
    starts = accumulate(sizes, initial=0)
    for start, bag in zip(starts, _parts(scores, sizes), strict=False):
        chosen = bag.topk(min(k, len(bag)), 0).indices
        # Index 0 fills the places of a small bag: its first row, which the caller must not count.
        rows.append(F.pad(chosen, (0, 0, 0, k - len(chosen))) + start)
    return torch.stack(rows)


def _by_sorting(scores: Tensor, k: int, segment: Tensor, sizes: Sequence[int]) -> Tensor:
    """Two stable sorts, by score and then by bag: a number of kernels independent of the bags."""
    order = scores.argsort(dim=0, descending=True, stable=True)  # (sum N, K), largest first
    # Stable: rows of a bag keep their order by score. Bags end up in the order of the batch.
    order = order.gather(0, segment[order].argsort(dim=0, stable=True))
    # From Python integers and not from offsets: nothing waits for the device.
    ends = torch.tensor([0, *sizes]).cumsum(0).to(scores.device, non_blocking=True)
    start, size = ends[:-1, None], ends.diff()[:, None]
    place = torch.arange(k, device=scores.device)
    places = torch.where(place < size, start + place, start)  # (B, k) in the sorted rows
    rows = order[places]  # (B, k, K)
    return torch.where((place < size).unsqueeze(2), rows, start.unsqueeze(2))
