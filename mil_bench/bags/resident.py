"""Memory for features on the host."""

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


# Converted bags kept in memory, on the host or on a device.


class ResidentFeatures:
    """``tensor`` ``(sum N, D)``: every bag of ``spans`` as the model is given it.

    ``stored`` ``(total, D)`` are the rows on the host and ``spans`` says which of them are whose.
    Memory for all bags is set aside at once; a bag is read and converted when it is first asked
    for, so test bags stay unread until the model is frozen. ``pinned`` is for copies to a GPU.
    """

    def __init__(
        self,
        stored: Tensor,
        spans: Mapping[str, tuple[int, int]],
        conversion: Conversion,
        device: torch.device,
        *,
        pinned: bool = False,
    ) -> None:
        self._stored, self._from = stored, spans
        self._conversion = conversion.to(device)
        self.spans: dict[str, tuple[int, int]] = {}
        end = 0
        for bag, (_, length) in spans.items():
            self.spans[bag] = (end, length)
            end += stored_rows(length)
        shape, dtype = (end, stored.shape[1]), conversion.dtype
        self.tensor = (
            torch.empty(shape, dtype=dtype, device=device, pin_memory=pinned)
            if pinned or device.type == "cuda"
            else host_empty(shape, dtype)
        )
        self._filled: set[str] = set()

    def holds(self, bags: Iterable[str]) -> bool:
        """Whether all of ``bags`` have been read."""
        return self._filled.issuperset(bags)

    def fill(self, bags: Iterable[str]) -> None:
        """Read those of ``bags`` that are not here yet."""
        for bag in bags:
            if bag not in self._filled:
                self._read(bag)
                self._filled.add(bag)

    def _read(self, bag: str) -> None:
        start, length = self._from[bag]
        place, _ = self.spans[bag]
        rows, out = self._stored[start : start + length], self.tensor[place : place + length]
        self.tensor[place + length : place + stored_rows(length)].zero_()
        if out.is_cuda:
            out.copy_(self._conversion(rows.to(out.device)))
        else:
            self._conversion.into(rows, out)
