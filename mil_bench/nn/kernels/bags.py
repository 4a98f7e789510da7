"""Weighted sums over bags of any size in a fixed number of products.

The packed rows are cut into blocks of equal length, whatever the bags. A block holds rows of a few
bags, its *slots*; weights are spread over the slots, zero where a row is of another bag, and one
batched product sums every block per slot. A second product adds the slots of each bag. Nothing
depends on the number of bags but the sizes of these products, which is what a GPU wants; and their
sizes repeat from batch to batch, which is what oneDNN wants on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from mil_bench.contract.rows import STEP, padded_empty, padded_empty_like, padded_rows, with_padding


class Blocks(NamedTuple):
    """How ``STEP`` rows at a time share out the bags.

    ``mine``  ``(sum N, slots)``: the slot of every row
    ``bag``   ``(blocks, slots)``: the bag of every slot; one too many where there is none
    """

    mine: Tensor
    bag: Tensor

    @classmethod
    def of(cls, segment: Tensor, sizes: Sequence[int]) -> Blocks:
        """The blocks of a batch; the number of slots is counted on the host."""
        slots = torch.arange(most_bags(sizes), device=segment.device)
        first = segment[::STEP]
        behind = padded_rows(len(segment)) // STEP - len(first)
        first = F.pad(first, (0, behind), value=len(sizes))
        slot = segment - first.repeat_interleave(STEP)[: len(segment)]
        return cls(slot.unsqueeze(1) == slots, first.unsqueeze(1) + slots)


class BlockProducts(torch.autograd.Function):
    """``weights^T x`` within each bag."""

    @staticmethod
    def forward(
        ctx: Any, weights: Tensor, x: Tensor, segment: Tensor, sizes: tuple[int, ...]
    ) -> Tensor:
        """``(sum N, K)``, ``(sum N, D)``, the bag of every row -> ``(B, K, D)``."""
        mine, bag = Blocks.of(segment, sizes)
        spread = _spread(weights, mine, len(bag))
        ctx.save_for_backward(spread, x, mine, bag)
        ctx.bags = len(sizes)
        sums = spread.mT @ _cut(x, len(bag))  # (blocks, slots * K, D)
        members = bag.flatten() == torch.arange(len(sizes), device=bag.device).unsqueeze(1)
        pooled = members.to(sums.dtype) @ sums.view(bag.numel(), -1)
        return pooled.view(len(sizes), weights.shape[1], x.shape[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        """Gradients of the weights and of ``x``."""
        spread, x, mine, bag = ctx.saved_tensors
        slots = grad[bag.clamp(max=ctx.bags - 1)].flatten(1, 2)  # (blocks, slots * K, D)
        to_weights = to_x = None
        if ctx.needs_input_grad[0]:
            products = _cut(x, len(bag)) @ slots.mT  # (blocks, STEP, slots * K)
            products = products.flatten(0, 1)[: len(x)].view(*mine.shape, -1)
            to_weights = (products * mine.unsqueeze(2)).sum(1)
        if ctx.needs_input_grad[1]:
            to_x = padded_empty_like(x)
            torch.bmm(spread, slots, out=_cut(to_x, len(bag)))
        return to_weights, to_x, None, None


def most_bags(sizes: Sequence[int]) -> int:
    """The largest number of bags that share a block."""
    ends = np.cumsum(sizes)
    starts = np.arange(0, ends[-1], STEP)
    last = np.minimum(starts + STEP, ends[-1]) - 1
    spans = np.searchsorted(ends, last, "right") - np.searchsorted(ends, starts, "right")
    return int(spans.max()) + 1


def _spread(weights: Tensor, mine: Tensor, blocks: int) -> Tensor:
    """``(blocks, STEP, slots * K)``: every weight in its row's slot, zeros elsewhere."""
    width = mine.shape[1] * weights.shape[1]
    spread = padded_empty(len(weights), width, weights.dtype, weights.device)
    torch.mul(weights.unsqueeze(1), mine.unsqueeze(2), out=spread.view(*mine.shape, -1))
    return _cut(spread, blocks)


def _cut(x: Tensor, blocks: int) -> Tensor:
    """``(sum N, D)`` -> ``(blocks, STEP, D)``; what is behind the last row counts for nothing."""
    rows = with_padding(x)
    if len(rows) < blocks * STEP:
        rows = F.pad(rows, (0, 0, 0, blocks * STEP - len(rows)))
    return rows.view(blocks, STEP, -1)
