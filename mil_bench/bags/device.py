"""Where bags live while a model trains: the memory map on the host, or a copy on the device."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.bags.standardize import Standardization
from mil_bench.bags.store import BagStore

RESIDENT_SHARE = 0.4  # of the free device memory; the rest is for models and activations


class DeviceBags:
    """Packs bags of a store into batches on ``device`` with features of type ``dtype``.

    On CUDA the whole store is kept on the device when it fits into ``RESIDENT_SHARE`` of the free
    memory divided by ``processes`` (worker processes on the same device); ``resident`` overrides
    that. Otherwise bags travel in the stored type (half the bytes for float16) through pinned
    memory without blocking the host, and are cast on the device.
    """

    def __init__(
        self,
        store: BagStore,
        device: torch.device,
        *,
        dtype: torch.dtype = torch.float32,
        processes: int = 1,
        resident: bool | None = None,
    ) -> None:
        self.device, self.dtype, self.rows, self.dim = device, dtype, store.rows, store.dim
        on_cuda = device.type == "cuda"
        if resident is None:
            resident = on_cuda and _fits(store, device, processes)
        self.resident = resident
        home = device if resident else torch.device("cpu")
        self.pinned = on_cuda and not resident
        self.features = _shared(store.features).to(home)
        self.coords = _shared(store.coords).to(home) if store.coords is not None else None

    def batch(
        self,
        slide_ids: Sequence[str],
        *,
        labels: Mapping[str, Tensor] | None = None,
        subsets: Sequence[Tensor | None] | None = None,
        standardization: Standardization | None = None,
    ) -> BagBatch:
        """Pack bags into ``(sum N, D)`` features of :attr:`dtype`; coordinates are float32.

        ``labels`` are ``(B,)`` int64 per level on the host. ``subsets`` gives the instances to take
        of each bag (``None``: all of them). ``standardization`` must be on the device.
        """
        subsets = subsets or [None] * len(slide_ids)
        spans = list(zip((self.rows[s] for s in slide_ids), subsets, strict=True))
        sizes = tuple(n if subset is None else len(subset) for (_, n), subset in spans)
        features = self._gather(self.features, spans, sum(sizes))
        if standardization is not None:
            features = standardization(features)
        features = features.to(self.dtype)
        coords = self._gather(self.coords, spans, sum(sizes)) if self.coords is not None else None
        ends = torch.tensor([0, *sizes]).cumsum(0)
        return BagBatch(
            features=features,
            offsets=self._send(ends),
            sizes=sizes,
            coords=coords,
            labels={level: self._send(y) for level, y in (labels or {}).items()},
            slide_ids=tuple(slide_ids),
        )

    def _gather(
        self, source: Tensor, spans: Sequence[tuple[tuple[int, int], Tensor | None]], total: int
    ) -> Tensor:
        """Copy the chosen rows one after another; casting to float32 happens on the device."""
        dtype = source.dtype if self.pinned else torch.float32
        out = torch.empty(
            (total, source.shape[1]), dtype=dtype, device=source.device, pin_memory=self.pinned
        )
        end = 0
        for (start, length), subset in spans:
            rows = source[start : start + length]
            if subset is not None:
                rows = rows[self._send(subset) if self.resident else subset]
            begin, end = end, end + len(rows)
            out[begin:end] = rows
        return out.to(self.device, non_blocking=True).float()

    def _send(self, tensor: Tensor) -> Tensor:
        """A small host tensor to the device without waiting for it."""
        if self.device.type == "cuda":
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def _fits(store: BagStore, device: torch.device, processes: int) -> bool:
    free, _ = torch.cuda.mem_get_info(device)
    need = store.features.nbytes + (store.coords.nbytes if store.coords is not None else 0)
    return need <= RESIDENT_SHARE * free / processes


def _shared(array: object) -> Tensor:
    """A tensor over the same memory. The map is read-only and so is every use of it here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
