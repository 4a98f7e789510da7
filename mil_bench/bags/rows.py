"""Packed rows in memory that ends at a multiple of :data:`STEP` rows.

oneDNN compiles a kernel for every new shape, about a millisecond each, and packed batches hardly
ever have the same number of rows. Products over the whole memory have few shapes. What lies behind
the last row is finite and never used: gradients have zero rows there.
"""

from __future__ import annotations

import torch
from torch import Tensor

STEP = 64


def roomy_empty(rows: int, dim: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """``(rows, dim)``, not initialised, at the start of such memory; zero rows behind."""
    memory = torch.empty((-(-rows // STEP) * STEP, dim), dtype=dtype, device=device)
    memory[rows:].zero_()
    return memory[:rows]


def roomy_like(x: Tensor) -> Tensor:
    """As :func:`roomy_empty`, of the shape, type and device of ``x``."""
    return roomy_empty(len(x), x.shape[1], x.dtype, x.device)


def whole(x: Tensor) -> Tensor:
    """All of the memory under ``(rows, dim)`` if it is of that kind, else ``x`` itself."""
    rows, dim = -(-len(x) // STEP) * STEP, x.shape[1]
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
