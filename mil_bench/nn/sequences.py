"""Packed sequences, ``(sum n, dim)`` with their ``sizes``, taken together where they are equal."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor


def equal_runs(x: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    """Views ``(count, n, dim)`` of neighbours of equal size; sorted sequences give the fewest.

    Sequences of one run share every kernel launch, without padding.
    """
    runs = [(len(list(run)), n) for n, run in groupby(sizes)]
    parts = x.split_with_sizes([count * n for count, n in runs])
    return [one.view(count, n, -1) for one, (count, n) in zip(parts, runs, strict=True)]


def pack(runs: Sequence[Tensor]) -> Tensor:
    """Runs ``(count, n, dim)`` -> ``(sum n, dim)``."""
    return torch.cat([one.flatten(0, 1) for one in runs])


def unpack(x: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """The inverse of :func:`pack`: rows ``(sum n, dim')`` in runs of the sizes of ``like``."""
    parts = x.split_with_sizes([one.shape[0] * one.shape[1] for one in like])
    return [part.view(*one.shape[:2], -1) for part, one in zip(parts, like, strict=True)]
