"""The instances of the same bag with the largest products, without the matrix of all products."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import torch
from torch import Tensor

KEPT_PRODUCTS: Final = 1 << 24  # numbers of one block of products: 64 MiB in float32


def best_partners(
    queries: Tensor, keys: Tensor, k: int, sizes: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """Packed rows ``(sum N, k')`` of the keys with the largest products, and which of them count.

    ``queries`` and ``keys`` are ``(sum N, dim)``; largest first, within each bag. ``k'`` is ``k``
    or the largest bag if that is smaller; places beyond the size of a bag repeat its best and do
    not count. At most :data:`KEPT_PRODUCTS` products are in memory at a time, or ``N`` of one row.
    """
    k = min(k, max(sizes))
    queries, keys = queries.detach(), keys.detach()
    partners = torch.empty((len(keys), k), dtype=torch.int64, device=keys.device)
    counts = torch.empty((len(keys), k), dtype=torch.bool, device=keys.device)
    for start, size in zip(accumulate(sizes, initial=0), sizes, strict=False):
        own, here = keys[start : start + size], min(k, size)
        for first in range(start, start + size, max(1, KEPT_PRODUCTS // size)):
            block = slice(first, min(first + max(1, KEPT_PRODUCTS // size), start + size))
            best = (queries[block] @ own.T).topk(here, 1).indices + start
            partners[block, :here], partners[block, here:] = best, best[:, :1]
        counts[start : start + size] = torch.arange(k, device=keys.device) < size
    return partners, counts
