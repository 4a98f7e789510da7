"""Packed batches of a store's bags on the device of the model."""

from __future__ import annotations

import mmap
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mil_bench.bags.conversion import (
    Conversion,
    ResidentFeatures,
    Standardization,
    host_empty,
    on_cache_line,
)
from mil_bench.bags.placement import Placement
from mil_bench.contract.batch import PADDED_FROM, BagBatch, padded_empty, padded_rows, padded_view
from mil_bench.contract.graph import Graphs
from mil_bench.contract.store import BagStore

Span = tuple[int, int, Tensor | None]  # first row, number of rows, which of them (None: all)
HOST = torch.device("cpu")


class DeviceBags:
    """Packer of bags into batches on ``device`` with features of type ``dtype``.

    ``placement`` is where features are between two uses (see :mod:`mil_bench.bags.placement`):
    ``none`` reads the store's memory map every time, ``ram`` and ``gpu`` keep converted features.

    On the host, a batch of one complete bag is a view of these features or of the map. It is a copy
    if it must be converted or does not begin on a cache line. Features of a batch are read-only.
    To a GPU, bags are sent through pinned memory, in the narrower of the two types, and converted
    there. No step waits for the device.
    """

    def __init__(
        self,
        store: BagStore,
        device: torch.device,
        *,
        dtype: torch.dtype = torch.float32,
        standardization: Standardization | None = None,
        placement: Placement = "none",
        neighbours: int = 0,
    ) -> None:
        self.device, self.dtype, self.dim = device, dtype, store.dim
        self.rows, self._store = store.rows, store
        self.on_cuda = device.type == "cuda"
        self._features = _shared(store.features)
        conversion = Conversion(dtype, standardization)
        self._resident: ResidentFeatures | None = None
        if placement != "none":
            where, pinned = (device, False) if placement == "gpu" else (HOST, self.on_cuda)
            self._resident = ResidentFeatures(
                self._features, store.rows, conversion, where, pinned=pinned
            )
        self._conversion = conversion.to(device)  # statistics where rows are converted
        self._converts = conversion.changes(self._features.dtype)
        self._graphs = (
            Graphs(store, neighbours) if neighbours and store.coords is not None else None
        )
        coords = _shared(store.coords) if store.coords is not None else None
        # Beside features on the GPU; elsewhere they travel with their batch.
        self._coords = coords.to(device) if coords is not None and placement == "gpu" else coords

    def at_hand(self, slide_ids: Sequence[str]) -> bool:
        """Return whether batches of these bags need no reading, converting or sending."""
        # Views of the map are at hand: reading is left to the system, as announced.
        if self._resident is None:
            return not self.on_cuda and not self._converts
        on_device = self._resident.tensor.device.type == self.device.type
        return on_device and self._resident.holds(slide_ids)

    def announce(self, slide_ids: Sequence[str]) -> None:
        """Announce bags that are used soon, so that those only on a disk are read meanwhile."""
        for slide in slide_ids:
            if self._resident is None or not self._resident.holds([slide]):
                read_ahead(self._store.features, *self.rows[slide])

    def batch(
        self,
        slide_ids: Sequence[str],
        *,
        labels: Mapping[str, Tensor] | None = None,
        subsets: Sequence[Tensor | None] | None = None,
    ) -> BagBatch:
        """Pack bags into ``(sum N, D)`` features of :attr:`dtype`; coordinates are float32.

        ``labels`` are ``(B,)`` int64 per level on the host. ``subsets`` are the instances to take
        of each bag (``None``: all).
        """
        subsets = subsets or [None] * len(slide_ids)
        spans = _spans(self.rows, slide_ids, subsets)
        sizes = tuple(n if subset is None else len(subset) for _, n, subset in spans)
        if self._resident is not None:
            self._resident.fill(slide_ids)  # only the bags of this batch: test bags stay unread
            features = self._pack(
                self._resident.tensor, _spans(self._resident.spans, slide_ids, subsets)
            )
        elif self.on_cuda:
            features = self._travelled(spans, sizes)
        elif self._converts:
            features = self._converted(spans, sizes)
        else:
            features = self._pack(self._features, spans)
        return BagBatch(
            features=features,
            # Made on the host, which knows the sizes.
            offsets=self._send(torch.tensor([0, *sizes]).cumsum(0)),
            sizes=sizes,
            coords=self._pack(self._coords, spans).float() if self._coords is not None else None,
            edges=self._send(self._graphs.packed(slide_ids, subsets)) if self._graphs else None,
            labels={level: self._send(y) for level, y in (labels or {}).items()},
            slide_ids=tuple(slide_ids),
        )

    def _pack(self, source: Tensor, spans: Sequence[Span]) -> Tensor:
        """Chosen rows of ``source`` on the device, with as few copies and kernels as possible."""
        parts = [source[start : start + n] for start, n, _ in spans]
        if all(subset is None for _, _, subset in spans):
            if len(parts) == 1 and self.on_cuda:
                return self._send(parts[0])  # pinned on the way
            if len(parts) == 1 and len(parts[0]) >= PADDED_FROM and on_cache_line(parts[0]):
                # No copy: a view that ends with its padding.
                return padded_view(source, *spans[0][:2])
            rows = _memory([len(part) for part in parts], source)
            return self._send(torch.cat(parts, out=rows))
        index = [
            # Rows in the packed array.
            torch.arange(start, start + n) if subset is None else subset + start
            for start, n, subset in spans
        ]
        chosen_rows = torch.cat(index)
        if source.is_cuda:
            chosen_rows = self._send(chosen_rows)
        rows = _memory([len(part) for part in index], source)
        torch.index_select(source, 0, chosen_rows, out=rows)  # one gather for all bags
        return self._send(rows)

    def _converted(self, spans: Sequence[Span], sizes: tuple[int, ...]) -> Tensor:
        """Chosen rows of the memory map, converted on the way into one tensor on the host."""
        out = _memory(sizes, self._features, self.dtype)
        for span, part in zip(spans, out.split_with_sizes(sizes), strict=True):
            self._conversion.into(self._stored_rows(span), part)
        return out

    def _travelled(self, spans: Sequence[Span], sizes: tuple[int, ...]) -> Tensor:
        """Chosen rows of the memory map, through pinned memory to the GPU and converted there."""
        file_dtype = self._features.dtype
        plain = self._conversion.standardization is None
        # The narrower type halves the traffic. Standardisation needs the digits of the stored type.
        dtype = self.dtype if plain and self.dtype.itemsize < file_dtype.itemsize else file_dtype
        pinned = torch.empty((sum(sizes), self.dim), dtype=dtype, pin_memory=True)
        # Into pinned memory at once: the copy to the GPU then runs beside the model.
        for span, part in zip(spans, pinned.split_with_sizes(sizes), strict=True):
            part.copy_(self._stored_rows(span))
        rows = self._send(pinned)
        return self._conversion(rows) if self._conversion.changes(dtype) else rows

    def _stored_rows(self, span: Span) -> Tensor:
        start, n, subset = span
        rows = self._features[start : start + n]
        return rows if subset is None else rows[subset]

    def _send(self, tensor: Tensor) -> Tensor:
        """A tensor on the device, without waiting for the copy."""
        # Copies from pageable memory block the host; pinned ones are asynchronous.
        if self.on_cuda and not tensor.is_cuda:
            tensor = tensor.pin_memory()
        return tensor.to(self.device, non_blocking=True)


def read_ahead(features: NDArray[np.floating], start: int, length: int) -> None:
    """Request rows ``start`` to ``start + length`` of a mapped array, without waiting for them.

    A view of a map is read when it is used, sequentially and in small pieces. Requested rows are
    read in large pieces while the model works on something else. An array in memory has nothing to
    read.
    """
    source: object = features.base
    if not isinstance(source, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    origin = np.frombuffer(source, dtype=np.uint8).ctypes.data  # address of the map's first byte
    row = features.strides[0]
    first = features.ctypes.data - origin + start * row  # byte offset in the file
    # madvise takes whole pages: it refuses an address in the middle of one.
    page = first - first % mmap.PAGESIZE
    source.madvise(mmap.MADV_WILLNEED, page, first + length * row - page)


def _spans(
    rows: Mapping[str, tuple[int, int]],
    slide_ids: Sequence[str],
    subsets: Sequence[Tensor | None],
) -> list[Span]:
    return [(*rows[slide], subset) for slide, subset in zip(slide_ids, subsets, strict=True)]


def _memory(sizes: Sequence[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """``(sum N, D)`` for bags of ``sizes`` in the type of ``like``, or ``dtype``, on its device.

    A single bag gets the padding that it has as a view: products over it then round in the same way
    whether it is copied or not. On a GPU that is none.
    """
    rows, dim, dtype = sum(sizes), like.shape[1], dtype or like.dtype
    if len(sizes) > 1:
        # Products of several bags run over the padding.
        return padded_empty(rows, dim, dtype, like.device)
    if like.is_cuda:
        # A GPU's products do not depend on the padding, so a single bag has none.
        return torch.empty((rows, dim), dtype=dtype, device=like.device)
    memory = host_empty((padded_rows(rows), dim), dtype)
    memory[rows:].zero_()
    return memory[:rows]


def _shared(array: object) -> Tensor:
    """A tensor over the same memory."""
    # The warning is about writing, which would crash: the map is read-only. Nothing here writes.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
