"""Weighted sums over bags of any size in a fixed number of kernels, for devices that queue them.

The packed rows are cut into blocks of equal length, whatever the bags. A block holds rows of a few
bags, its *slots*; weights are spread over the slots, zero where a row is of another bag, and one
batched product sums every block per slot. A second product adds the slots of each bag. Both are
matrix products, so the result is deterministic.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from mil_bench.nn.casting import as_written

ROWS = 128  # of a block


def block_matmul(
    weights: Tensor, x: Tensor, segment: Tensor, sizes: Sequence[int], rows: int = ROWS
) -> Tensor:
    """``(sum N, K)``, ``(sum N, D)`` and the bag of every row -> ``(B, K, D)`` in ``x``'s type."""
    slots, bags, branches = slots_of(sizes, rows), len(sizes), weights.shape[1]
    first = segment[::rows]  # (blocks,): the bag of the first row
    slot = segment - first.repeat_interleave(rows)[: len(segment)]
    mine = slot.unsqueeze(1) == torch.arange(slots, device=x.device)  # (sum N, slots)
    spread = weights.unsqueeze(1) * mine.unsqueeze(2)
    tail = -len(x) % rows
    spread = F.pad(spread.flatten(1), (0, 0, 0, tail)).view(len(first), rows, -1)
    blocks = F.pad(x, (0, 0, 0, tail)).view(len(first), rows, -1)
    with as_written(x):
        sums = (spread.mT @ blocks).view(len(first) * slots, -1)  # (blocks * slots, K * D)
        owner = (first.unsqueeze(1) + torch.arange(slots, device=x.device)).flatten()
        members = owner == torch.arange(bags, device=x.device).unsqueeze(1)
        pooled = members.to(sums.dtype) @ sums
    return pooled.view(bags, branches, -1)


def slots_of(sizes: Sequence[int], rows: int) -> int:
    """The largest number of bags that share a block of ``rows`` rows, counted on the host."""
    ends = np.cumsum(sizes)
    starts = np.arange(0, ends[-1], rows)
    last = np.minimum(starts + rows, ends[-1]) - 1
    spans = np.searchsorted(ends, last, "right") - np.searchsorted(ends, starts, "right")
    return int(spans.max()) + 1
