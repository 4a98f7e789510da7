"""The highest-scoring instances of every bag of a packed batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn import functional as F


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
