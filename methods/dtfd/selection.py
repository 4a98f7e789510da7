"""The instances of a pseudo-bag that are passed on to the second tier."""

from __future__ import annotations

import torch
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.nn.topk import segment_topk


def strongest(
    evidence: Tensor, bags: BagBatch, k: int, tails: bool
) -> tuple[Tensor, tuple[int, ...]]:
    """Rows of the ``k`` largest of ``evidence`` ``(sum N, 1)`` per bag, and how many per bag.

    With ``tails`` the ``k`` smallest follow, both in descending order; a row may be in both. A bag
    of fewer than ``k`` rows gives each of them.
    """
    ends = [segment_topk(evidence, k, bags.segment, bags.sizes)]
    if tails:
        ends.append(segment_topk(-evidence, k, bags.segment, bags.sizes))
    table = torch.cat(ends, 1).squeeze(2)  # (B, places)
    places, half = table.shape[1], ends[0].shape[1]
    counts = [min(k, size) for size in bags.sizes]
    chosen: list[int] = []
    for bag, count in enumerate(counts):
        start = bag * places
        chosen += range(start, start + count)
        if tails:  # the smallest come first
            chosen += range(start + half + count - 1, start + half - 1, -1)
    index = torch.tensor(chosen).to(evidence.device, non_blocking=True)
    return table.flatten()[index], tuple(len(ends) * count for count in counts)
