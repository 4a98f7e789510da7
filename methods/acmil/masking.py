"""Stochastic top-k instance masking, the STKIM of ACMIL (Zhang et al., ECCV 2024)."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.nn.topk import segment_topk, within

MASKED: Final = -1e9  # finite: a bag that is masked whole is attended evenly


def mask_top(scores: Tensor, k: int, share: float, batch: BagBatch) -> Tensor:
    """``(sum N, K)`` scores with some of the ``k' = min(k, N)`` highest of each bag masked.

    In every column ``int(k' * share)`` of them, drawn at random, become :data:`MASKED`.
    """
    top = segment_topk(scores.detach(), k, batch.segment, batch.sizes)  # (B, k', K)
    outside = ~within(top.shape[1], batch.offsets).unsqueeze(2)
    lots = torch.rand(top.shape, device=scores.device).masked_fill(outside, torch.inf)
    numbers = torch.tensor([int(min(k, size) * share) for size in batch.sizes])
    numbers = numbers.to(scores.device, non_blocking=True)[:, None, None]
    drawn = lots.argsort(1).argsort(1) < numbers
    # Places outside a small bag repeat its first row, so hits are added up, not written.
    hits = torch.zeros_like(scores)
    hits.scatter_add_(0, top.flatten(0, 1), drawn.flatten(0, 1).to(scores.dtype))
    return scores.masked_fill(hits > 0, MASKED)
