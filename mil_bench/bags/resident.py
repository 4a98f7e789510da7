"""Converted bags kept in memory, on the host or on a device."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from mil_bench.bags.conversion import Conversion
from mil_bench.contract.rows import stored_rows

CACHE_LINE = 64  # bytes


def host_empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return an uninitialised tensor on the host that begins on a cache line.

    The memory is NumPy's: NumPy requests huge pages for large arrays and PyTorch does not. The
    first writes to fresh memory are then several times faster.
    """
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + CACHE_LINE, dtype=np.uint8)
    start = -memory.ctypes.data % CACHE_LINE
    return torch.from_numpy(memory[start : start + size]).view(dtype).view(*shape)


def on_cache_line(tensor: Tensor) -> bool:
    """Return whether a tensor begins on a cache line, as those that PyTorch allocates do.

    Matrix products may round in another order where it does not.
    """
    return tensor.data_ptr() % CACHE_LINE == 0


class ResidentFeatures:
    """``tensor`` ``(sum N, D)``: every bag of ``spans`` as the model gets it.

    ``rows`` ``(total, D)`` are the stored features on the host, ``spans`` the first row and the
    length of every bag in them. Memory for all bags is allocated immediately. A bag is read and
    converted when first used: test bags stay unread until the model is frozen. ``pinned`` is for
    copies to a GPU.
    """

    def __init__(
        self,
        rows: Tensor,
        spans: Mapping[str, tuple[int, int]],
        conversion: Conversion,
        device: torch.device,
        *,
        pinned: bool = False,
    ) -> None:
        self._rows, self._from = rows, spans
        self._conversion = conversion.to(device)
        self.spans: dict[str, tuple[int, int]] = {}
        end = 0
        for bag, (_, length) in spans.items():
            self.spans[bag] = (end, length)
            end += stored_rows(length)
        shape, dtype = (end, rows.shape[1]), conversion.dtype
        self.tensor = (
            torch.empty(shape, dtype=dtype, device=device, pin_memory=pinned)
            if pinned or device.type == "cuda"
            else host_empty(shape, dtype)
        )
        self._filled: set[str] = set()

    def holds(self, bags: Iterable[str]) -> bool:
        """Return whether all of ``bags`` have been read."""
        return self._filled.issuperset(bags)

    def fill(self, bags: Iterable[str]) -> None:
        """Read those of ``bags`` that have not been read yet."""
        for bag in bags:
            if bag not in self._filled:
                self._read(bag)
                self._filled.add(bag)

    def _read(self, bag: str) -> None:
        start, length = self._from[bag]
        place, _ = self.spans[bag]
        rows, out = self._rows[start : start + length], self.tensor[place : place + length]
        # Fresh memory may hold NaN, and products run over the padding behind a bag as well.
        self.tensor[place + length : place + stored_rows(length)].zero_()
        if out.is_cuda:
            out.copy_(self._conversion(rows.to(out.device)))
        else:
            self._conversion.into(rows, out)
