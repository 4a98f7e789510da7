"""The type in which the layers of :mod:`mil_bench.nn` multiply matrices."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor


def compute_dtype(x: Tensor) -> torch.dtype:
    """The type autocast asks for on the device of ``x``, or the type of ``x`` outside autocast.

    Layers with a backward pass of their own cast to it explicitly, inside :func:`as_written`:
    autocast does not reach into the backward of a ``torch.autograd.Function``.
    """
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def as_written(x: Tensor) -> AbstractContextManager[object]:
    """Operations on the device of ``x`` in the types of their operands, whatever autocast says."""
    return torch.autocast(x.device.type, enabled=False)


def full_precision(x: Tensor) -> Tensor:
    """``x`` in float32 or more."""
    return x.float() if x.dtype.itemsize < 4 else x
