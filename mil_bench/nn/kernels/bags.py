"""Reductions over the bags of a packed batch.

======================  ============================  ===================================
kernel                  formula                       gradient
======================  ============================  ===================================
:func:`softmax`         ``a_i = exp s_i / sum exp s``  ``ds_i = a_i (da_i - sum_j a_j da_j)``
:func:`weighted_sums`   ``z = sum_i a_i x_i``         ``da_i = dz . x_i``, ``dx_i = a_i dz``
======================  ============================  ===================================

Weighted sums of bags of any size take a fixed number of products. The packed rows are cut into
blocks of equal length, regardless of the bags. A block holds rows of a few bags, its *slots*.
Weights are spread over the slots, with zeros for rows of other bags, and one batched product sums
every block per slot. A second product adds the slots of each bag. The number of bags changes only
the sizes of these products, which suits a GPU. The sizes repeat from batch to batch, which suits
oneDNN on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import functional as F

from mil_bench.contract.batch import (
    STEP,
    padded_empty,
    padded_empty_like,
    padded_rows,
    with_padding,
)
from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.stock import first_order


def sums(x: Tensor, offsets: Tensor) -> Tensor:
    """Compute :func:`mil_bench.nn.segment.segment_sum`, adding up in float64.

    torch's kernel adds one row after another: in float32 the gradient of a softmax over 8,000
    instances would be wrong by 1e-5.
    """
    return torch.segment_reduce(x.double(), "sum", offsets=offsets, axis=0).to(x.dtype)


def maxima(x: Tensor, offsets: Tensor) -> Tensor:
    """Compute :func:`mil_bench.nn.segment.segment_max`.

    torch divides a positive gradient among equal maxima, and gives a negative one to each of them
    in full (torch 2.15); the formula divides both.
    """
    return torch.segment_reduce(x, "max", offsets=offsets, axis=0)


def softmax(scores: Tensor, segment: Tensor, offsets: Tensor) -> Tensor:
    """Compute :func:`mil_bench.nn.segment.segment_softmax`."""
    # Weights of thousands of instances differ by less than bfloat16 resolves.
    weights: Tensor = _Softmax.apply(full_precision(scores), segment, offsets)
    return weights


class _Softmax(Function):
    """Saves its output only."""

    @staticmethod
    def forward(scores: Tensor, segment: Tensor, offsets: Tensor) -> Tensor:
        weights = (scores - maxima(scores, offsets)[segment]).exp_()  # largest is 1: no overflow
        return weights.div_(sums(weights, offsets)[segment])  # sums are at least 1

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        _, segment, offsets = inputs
        ctx.save_for_backward(output, segment, offsets)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        weights, segment, offsets = ctx.saved_tensors
        grad = grad * weights  # a_i da_i
        return grad - weights * sums(grad, offsets)[segment], None, None


def weighted_sums(weights: Tensor, x: Tensor, segment: Tensor, sizes: Sequence[int]) -> Tensor:
    """Compute :func:`mil_bench.nn.segment.segment_matmul`."""
    with as_written(x):
        blocks = BlockPlan.of(segment, sizes)
        # One type for both factors; only the sums over scores need float64.
        pooled: Tensor = _WeightedSums.apply(weights.to(x.dtype), x, *blocks, len(sizes))[0]
    return pooled


class BlockPlan(NamedTuple):
    """How ``STEP`` rows at a time share out the bags.

    ``mine``  ``(sum N, slots)``: the slot of every row
    ``bag``   ``(blocks, slots)``: the bag of every slot; one too many where there is none
    """

    mine: Tensor
    bag: Tensor

    @classmethod
    def of(cls, segment: Tensor, sizes: Sequence[int]) -> BlockPlan:
        """Return the blocks of a batch; the number of slots is counted on the host."""
        slots = torch.arange(most_bags(sizes), device=segment.device)
        first = segment[::STEP]  # (blocks,): the bag of every block's first row
        behind = padded_rows(len(segment)) // STEP - len(first)  # blocks of padding only
        # No bag has the number len(sizes), so no bag collects the slots of these blocks.
        first = F.pad(first, (0, behind), value=len(sizes))
        # Rows of a bag are consecutive: the distance from the block's first bag is the slot.
        slot = segment - first.repeat_interleave(STEP)[: len(segment)]
        # A slot beyond the last bag of a block has no row there: it adds zeros to a later bag.
        return cls(slot.unsqueeze(1) == slots, first.unsqueeze(1) + slots)


def most_bags(sizes: Sequence[int]) -> int:
    """Return the largest number of bags that share a block."""
    # From Python integers: a count read from the device would stop the host at every step.
    ends = np.cumsum(sizes)
    starts = np.arange(0, ends[-1], STEP)
    last = np.minimum(starts + STEP, ends[-1]) - 1
    # (blocks,): the bag of the last row less that of the first.
    spans = np.searchsorted(ends, last, "right") - np.searchsorted(ends, starts, "right")
    return int(spans.max()) + 1


class _WeightedSums(Function):
    """``(sum N, K)`` weights, ``(sum N, D)``, a plan of ``bags`` -> ``(B, K, D)``, and the spread.

    The second output, the weights in the slots of their blocks, is there to be saved.
    """

    @staticmethod
    def forward(
        weights: Tensor, x: Tensor, mine: Tensor, bag: Tensor, bags: int
    ) -> tuple[Tensor, Tensor]:
        spread = _spread(weights, mine, len(bag))  # (blocks, STEP, slots * K)
        block_sums = spread.mT @ _cut(x, len(bag))  # (blocks, slots * K, D)
        # (bags, blocks * slots): 1 where a slot is of the bag
        members = bag.flatten() == torch.arange(bags, device=bag.device).unsqueeze(1)
        pooled = members.to(block_sums.dtype) @ block_sums.view(bag.numel(), -1)  # (bags, K * D)
        return pooled.view(bags, weights.shape[1], x.shape[1]), spread

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        weights, x, mine, bag, ctx.bags = inputs
        spread = output[1]
        ctx.mark_non_differentiable(spread)
        ctx.set_materialize_grads(False)  # no zeros for outputs that are only saved
        # The gradient does not read weights: saved, they refuse a second derivative (nn.stock).
        ctx.save_for_backward(spread, x, mine, bag, weights)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor, _: None) -> tuple[Tensor | None, ...]:
        spread, x, mine, bag, _ = ctx.saved_tensors
        # Slots past the last bag have zero weights and no rows, so any gradient will do for them.
        slots = grad[bag.clamp(max=ctx.bags - 1)].flatten(1, 2)  # (blocks, slots * K, D)
        to_weights = to_x = None
        if ctx.needs_input_grad[0]:
            products = _cut(x, len(bag)) @ slots.mT  # (blocks, STEP, slots * K)
            products = products.flatten(0, 1)[: len(x)].view(*mine.shape, -1)  # padding cut
            # Every row keeps the product with its own slot.
            to_weights = (products * mine.unsqueeze(2)).sum(1)
        if ctx.needs_input_grad[1]:
            # to_x has padding, so the blocks are a view of it: the product writes in place.
            to_x = padded_empty_like(x)
            torch.bmm(spread, slots, out=_cut(to_x, len(bag)))
        return to_weights, to_x, None, None, None


def _spread(weights: Tensor, mine: Tensor, blocks: int) -> Tensor:
    """``(blocks, STEP, slots * K)``: every weight in its row's slot, zeros elsewhere."""
    # Rows of padding are zero here, so padding of the features adds nothing to any sum.
    width = mine.shape[1] * weights.shape[1]
    spread = padded_empty(len(weights), width, weights.dtype, weights.device)
    torch.mul(weights.unsqueeze(1), mine.unsqueeze(2), out=spread.view(*mine.shape, -1))
    return _cut(spread, blocks)


def _cut(x: Tensor, blocks: int) -> Tensor:
    """``(sum N, D)`` -> ``(blocks, STEP, D)``; rows of padding have no effect."""
    rows = with_padding(x)
    if len(rows) < blocks * STEP:
        # Bags below PADDED_FROM rows are stored without.
        rows = F.pad(rows, (0, 0, 0, blocks * STEP - len(rows)))
    return rows.view(blocks, STEP, -1)
