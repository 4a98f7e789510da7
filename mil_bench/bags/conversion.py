"""Conversion of stored features for a model, and converted bags kept in memory."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mil_bench.contract.batch import stored_rows
from mil_bench.contract.store import BagStore


@dataclass(frozen=True)
class Standardization:
    """``mean`` and ``std`` ``(D,)`` float32 over all instances of the training bags."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, store: BagStore, slide_ids: Sequence[str]) -> Standardization:
        """Compute the statistics in one pass; moments are merged in float64 (Chan et al. 1979).

        A feature that never varies keeps the scale 1.
        """
        count, mean, scatter = 0, np.zeros(store.dim), np.zeros(store.dim)
        for slide_id in slide_ids:
            # float64: float16 features would lose the deviation.
            bag = store.bag(slide_id).astype(np.float64)
            centre = bag.mean(0)
            shift, total = centre - mean, count + len(bag)
            # Scatter around the common mean: the distance of the parts adds shift^2 n m / (n + m).
            scatter += ((bag - centre) ** 2).sum(0) + shift**2 * (count * len(bag) / total)
            mean += shift * (len(bag) / total)
            count = total
        std = np.sqrt(scatter / count)
        std[std == 0] = 1  # a constant feature becomes 0, not NaN
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(std).float())

    def to(self, device: torch.device) -> Standardization:
        """Return the same statistics on ``device``."""
        return Standardization(self.mean.to(device), self.std.to(device))

    def __call__(self, features: Tensor) -> Tensor:
        """Scale ``(N, D)`` float32 to zero mean and unit deviation on the training bags."""
        # Subtracted first, so that a mean far from zero loses no digits. The first operation makes
        # a new tensor, because features may be a view of the packed file.
        return torch.sub(features, self.mean).mul_(self.std.reciprocal())


ROWS_AT_ONCE = 64  # 64 x 1024 float32 stay in a core's cache between two passes


@dataclass(frozen=True)
class Conversion:
    """Conversion to ``dtype``, after standardisation in float32 if there is one."""

    dtype: torch.dtype
    standardization: Standardization | None = None

    def changes(self, stored: torch.dtype) -> bool:
        """Return whether features of type ``stored`` must be converted."""
        return self.dtype != stored or self.standardization is not None

    def __call__(self, rows: Tensor) -> Tensor:
        """Convert ``(N, D)`` of any type to :attr:`dtype` on the same device.

        The result is ``rows`` itself when nothing changes.
        """
        wide = rows.float() if self.standardization is None else self.standardization(rows.float())
        return wide.to(self.dtype)

    def into(self, rows: Tensor, out: Tensor) -> None:
        """Write converted ``rows`` to ``out``, both ``(N, D)`` on the host."""
        # In slices that stay in the cache: in one go, every step would read and write main memory.
        slices = torch.split(rows, ROWS_AT_ONCE), torch.split(out, ROWS_AT_ONCE)
        for source, target in zip(*slices, strict=True):
            target.copy_(self(source))

    def to(self, device: torch.device) -> Conversion:
        """Return the same conversion with its statistics on ``device``."""
        fitted = self.standardization
        return self if fitted is None else Conversion(self.dtype, fitted.to(device))


# Converted bags kept in memory, on the host or on a device.

CACHE_LINE = 64  # bytes


def host_empty(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Return an uninitialised tensor on the host that begins on a cache line.

    The memory is NumPy's: NumPy requests huge pages for large arrays and PyTorch does not. The
    first writes to fresh memory are then several times faster.
    """
    size = math.prod(shape) * dtype.itemsize
    memory = np.empty(size + CACHE_LINE, dtype=np.uint8)
    start = -memory.ctypes.data % CACHE_LINE  # bytes to the next multiple
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
            end += stored_rows(length)  # padding behind it included
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
        """Read the ones of ``bags`` that have not been read yet."""
        for bag in bags:
            if bag not in self._filled:
                self._read(bag)
                self._filled.add(bag)

    def _read(self, bag: str) -> None:
        start, length = self._from[bag]
        place, _ = self.spans[bag]
        # Views of the map and of this memory.
        rows, out = self._rows[start : start + length], self.tensor[place : place + length]
        # Fresh memory may hold NaN, and products run over the padding behind a bag as well.
        self.tensor[place + length : place + stored_rows(length)].zero_()
        if out.is_cuda:
            # Sent in the stored type, converted by the GPU.
            out.copy_(self._conversion(rows.to(out.device)))
        else:
            self._conversion.into(rows, out)
