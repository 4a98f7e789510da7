"""Rows of instances in memory with padding behind them, so that products have few shapes.

oneDNN compiles a kernel for every new shape: a millisecond and more than a megabyte each, for every
product of a model and every size of a bag. Products over rows and the padding behind them
(:func:`padded_rows`) have at most 16 sizes per doubling. Padding is finite and never
used: gradients have zero rows there.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEP = 64
PADDED_FROM = 1024  # rows; smaller stored bags have no padding and are copied when used


def padded_rows(rows: int) -> int:
    """Return ``rows`` with padding: a multiple of :data:`STEP`, at most a sixteenth more."""
    step = max(STEP, 1 << max(rows.bit_length() - 5, 0))
    return -(-rows // step) * step


def stored_rows(rows: int) -> int:
    """Return the rows that a bag of ``rows`` takes in a store, where bags follow each other."""
    return padded_rows(rows) if rows >= PADDED_FROM else rows


def padded_empty(rows: int, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return ``(rows, dim)``, not initialised, with zero rows as padding behind it."""
    memory = torch.empty((padded_rows(rows), dim), dtype=dtype, device=device)
    # Whatever the allocator left here could be NaN, and NaN times the zero rows of a gradient
    # would spread into every weight.
    memory[rows:].zero_()
    return memory[:rows]


def padded_empty_like(x: Tensor) -> Tensor:
    """Return :func:`padded_empty` with the shape, type and device of ``x``."""
    return padded_empty(len(x), x.shape[1], x.dtype, x.device)


def padded_view(memory: Tensor, start: int, rows: int) -> Tensor:
    """Return rows of ``memory`` ``(total, D)`` on the host that have padding behind them."""
    # Through NumPy, because a view of a torch tensor shares the storage of all of ``memory``;
    # this one has a storage that ends with its padding, which is how with_padding recognises it.
    stored = memory.view(torch.uint8).numpy()[start : start + padded_rows(rows)]
    return torch.from_numpy(stored).view(memory.dtype)[:rows]


def with_padding(x: Tensor) -> Tensor:
    """Return ``(rows, dim)`` and the padding behind it, or ``x`` itself where it has none."""
    rows, dim = padded_rows(len(x)), x.shape[1]
    first = x.is_contiguous() and x.storage_offset() == 0
    if first and x.untyped_storage().nbytes() == rows * dim * x.itemsize:
        return x.as_strided((rows, dim), (dim, 1))
    return x


def padded_grad(grad: Tensor, x: Tensor) -> Tensor:
    """Return ``grad`` with a zero row for every row of padding behind ``x``."""
    if len(with_padding(x)) == len(x):
        return grad
    if len(with_padding(grad)) == len(grad):
        return with_padding(padded_empty_like(grad).copy_(grad))
    # Padding of a gradient that came from another layer may hold anything.
    memory = with_padding(grad)
    memory[len(grad) :].zero_()
    return memory
