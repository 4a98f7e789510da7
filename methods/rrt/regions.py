"""Square regions of packed sequences: fold, pad with zeros, cut, and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from math import isqrt

import torch
from torch import Tensor
from torch.nn import functional as F


def side_of(n: int, regions: int) -> int:
    """Side of the smallest square for ``n`` rows that ``regions`` per side divide."""
    return -(-(isqrt(n - 1) + 1) // regions) * regions


def by_regions(
    layer: Callable[[Tensor], Tensor], x: Tensor, sizes: Sequence[int], regions: int
) -> Tensor:
    """``layer`` of all regions, packed rows ``(sum N, dim)`` in and out.

    Every bag is padded with zero rows at the end to ``S^2``, folded row by row to ``S x S`` and
    cut into ``regions x regions`` squares; padding takes part. ``layer`` maps ``(count, g^2, p,
    dim)`` to the same shape: slides, their regions, positions. Neighbours with equal sides are
    taken together, so sorted bags give the fewest calls.
    """
    done: list[Tensor] = []
    bags = x.split_with_sizes(list(sizes))
    for side, run in groupby(bags, lambda bag: side_of(len(bag), regions)):
        group = list(run)
        squares = torch.stack([F.pad(bag, (0, 0, 0, side * side - len(bag))) for bag in group])
        rows = joined(layer(cut(squares, regions)), regions)
        done += [one[: len(bag)] for one, bag in zip(rows, group, strict=True)]
    return torch.cat(done)


def cut(squares: Tensor, regions: int) -> Tensor:
    """``(count, S^2, dim)`` -> ``(count, g^2, (S / g)^2, dim)``."""
    count, positions, dim = squares.shape
    r = isqrt(positions) // regions
    tiles = squares.view(count, regions, r, regions, r, dim).transpose(2, 3)
    return tiles.reshape(count, regions * regions, r * r, dim)


def joined(tiles: Tensor, regions: int) -> Tensor:
    """The inverse of :func:`cut`."""
    count, _, positions, dim = tiles.shape
    r = isqrt(positions)
    squares = tiles.view(count, regions, regions, r, r, dim).transpose(2, 3)
    return squares.reshape(count, -1, dim)
