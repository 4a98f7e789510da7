"""Memory for features on the host."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

CACHE_LINE = 64  # bytes


def host_empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """An uninitialised tensor on the host that begins on a cache line.

    NumPy asks the system for huge pages under large arrays and PyTorch does not: writing to fresh
    memory for the first time is then several times faster.
    """
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + CACHE_LINE, dtype=np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return torch.from_numpy(memory[start : start + size]).view(dtype).view(*shape)


def on_cache_line(tensor: Tensor) -> bool:
    """Whether a tensor begins on a cache line, as all that PyTorch allocates do.

    Matrix products may round in another order where it does not.
    """
    return tensor.data_ptr() % CACHE_LINE == 0
