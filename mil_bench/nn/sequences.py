"""Packed sequences, ``(sum n, dim)`` with their ``sizes``, and the layers that run along them.

Neighbours of equal size are taken together. Rows beyond a budget of memory are computed part by
part, see :func:`by_parts`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from math import sqrt
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from mil_bench.contract.numerics import as_written, full_precision
from mil_bench.nn.kernels import depthwise as channels_last
from mil_bench.nn.stock import computed_by


def equal_runs(x: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Return views ``(count, n, dim)`` of neighbours of equal size.
    Sequences of one run share every kernel launch, without padding. Sorted sequences give the
    fewest runs.
    """
    runs = [(len(list(run)), n) for n, run in groupby(sizes)]
    parts = x.split_with_sizes([count * n for count, n in runs])
    return [part.view(count, n, -1) for part, (count, n) in zip(parts, runs, strict=True)]


def order_by_size(sizes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Return the order of sequences by size, and the place of every sequence in that order.

    Sequences of equal size become neighbours, which :func:`equal_runs` takes together.
    """
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    return order, sorted(range(len(sizes)), key=order.__getitem__)  # the inverse permutation


def pack(runs: Sequence[Tensor]) -> Tensor:
    """Join runs ``(count, n, dim)`` to rows ``(sum n, dim)``."""
    return torch.cat([run.flatten(0, 1) for run in runs])


def unpack(x: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """Undo :func:`pack`: rows ``(sum n, dim')`` as runs of the sizes of ``like``."""
    parts = x.split_with_sizes([run.shape[0] * run.shape[1] for run in like])
    return [part.view(*run.shape[:2], -1) for part, run in zip(parts, like, strict=True)]


@computed_by(channels_last.depthwise)
def depthwise(x: Tensor, taps: Tensor) -> Tensor:
    """Convolve ``(g, height, width, c)`` with odd filters ``(c, 1, a, b)``; keeps the shape.

    Every channel has its own filter. Zero padded, in float32 or more.
    """
    reach = (taps.shape[2] // 2, taps.shape[3] // 2)
    with as_written(x):
        image = full_precision(x).contiguous().permute(0, 3, 1, 2)  # (g, c, height, width)
        # Back: channels last.
        return F.conv2d(image, taps, padding=reach, groups=len(taps)).permute(0, 2, 3, 1)


def _fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    # Never forms the (n, n) scores: memory is linear in n.
    return F.scaled_dot_product_attention(q, k, v)


@computed_by(_fused_attention)
def dot_product_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Compute ``softmax(q k^T / sqrt(d)) v`` of ``(..., n, d)`` each.

    Vaswani et al., 2017, eq. 1.
    """
    return (q @ k.mT / sqrt(q.shape[-1])).softmax(-1) @ v


KEPT_ROWS: Final = 1 << 18  # 512 MiB of float32 per 512 hidden units


def _part_by_part(layer: Callable[[Tensor], Tensor], x: Tensor, rows: int | None = None) -> Tensor:
    rows = KEPT_ROWS if rows is None else rows
    if len(x) <= rows:
        return layer(x)
    parts = torch.split(x, rows)
    if not torch.is_grad_enabled():
        return torch.cat([layer(part) for part in parts])
    # The reentrant form has no gradient for parameters if x needs none, as features do. The random
    # state is restored for the second pass, so dropout drops the same entries.
    return torch.cat([checkpoint(layer, part, use_reentrant=False) for part in parts])


@computed_by(_part_by_part)
def by_parts(layer: Callable[[Tensor], Tensor], x: Tensor, rows: int | None = None) -> Tensor:
    """Return ``layer(x)`` for a layer that treats every row separately, ``rows`` rows at a time.

    Every row is used. Above ``rows`` (default :data:`KEPT_ROWS`) only the output is kept, and the
    rest is recomputed for the gradient (Chen et al., 2016). Results are the same up to rounding.
    """
    return layer(x)
