"""Rows of instances in memory with room behind them, so that products have few shapes.

oneDNN compiles a kernel for every new shape: a millisecond and more than a megabyte each, for every
product of a model and every size of a bag. Products over rows and the :func:`room` around them have
at most 16 sizes per doubling. What lies behind the last row is finite and never used: gradients
have zero rows there.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEP = 64
LONE = 1024  # rows; a stored bag of so many has room behind it, a smaller one is copied when used


def room(rows: int) -> int:
    """Rows of memory for ``rows``: a multiple of :data:`STEP`, above it by a sixteenth at most."""
    step = max(STEP, 1 << max(rows.bit_length() - 5, 0))
    return -(-rows // step) * step


def stored_room(rows: int) -> int:
    """Rows that a bag of ``rows`` takes where bags lie one after another for a long time."""
    return room(rows) if rows >= LONE else rows


def roomy_empty(rows: int, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``(rows, dim)``, not initialised, at the start of such memory; zero rows behind."""
    memory = torch.empty((room(rows), dim), dtype=dtype, device=device)
    memory[rows:].zero_()
    return memory[:rows]


def roomy_like(x: Tensor) -> Tensor:
    """As :func:`roomy_empty`, of the shape, type and device of ``x``."""
    return roomy_empty(len(x), x.shape[1], x.dtype, x.device)


def roomy_view(memory: Tensor, start: int, rows: int) -> Tensor:
    """Rows of ``memory`` ``(total, D)`` on the host that have room behind them."""
    stored = memory.view(torch.uint8).numpy()[start : start + room(rows)]
    return torch.from_numpy(stored).view(memory.dtype)[:rows]


def whole(x: Tensor) -> Tensor:
    """All of the memory under ``(rows, dim)`` if it is of that kind, else ``x`` itself."""
    rows, dim = room(len(x)), x.shape[1]
    fits = x.is_contiguous() and x.storage_offset() == 0
    if fits and x.untyped_storage().nbytes() == rows * dim * x.itemsize:
        return x.as_strided((rows, dim), (dim, 1))
    return x


def rows_of(grad: Tensor, x: Tensor) -> Tensor:
    """``grad`` and the zero rows that stand against what :func:`whole` finds behind ``x``."""
    if len(whole(x)) == len(x):
        return grad
    if len(whole(grad)) == len(grad):
        return whole(roomy_like(grad).copy_(grad))
    memory = whole(grad)
    memory[len(grad) :].zero_()
    return memory
