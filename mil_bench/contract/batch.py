"""A packed (ragged) batch of bags, and the layout of its rows in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class BagBatch:
    """``B`` bags with ``sum N`` instances in sequence, without padding between them.

    ``features``  ``(sum N, D)`` floating point; read-only, often a view of the packed file
    ``offsets``   ``(B + 1,)`` int64 on the same device; rows ``offsets[b]:offsets[b+1]``
    ``sizes``     the bag lengths as Python integers, so that no step waits for the device
    ``coords``    ``(sum N, 2)`` or ``None``
    ``edges``     ``(2, E)`` int64 of :mod:`mil_bench.contract.graph`, packed rows, or ``None``;
                  only for a method that asks for them
    ``labels``    level name -> ``(B,)`` int64; empty at inference
    """

    features: Tensor
    offsets: Tensor
    sizes: tuple[int, ...]
    coords: Tensor | None = None
    edges: Tensor | None = None
    labels: Mapping[str, Tensor] = field(default_factory=dict)
    slide_ids: tuple[str, ...] = ()

    @classmethod
    def pack(
        cls,
        features: Sequence[Tensor],
        coords: Sequence[Tensor] | None = None,
        labels: Mapping[str, Tensor] | None = None,
        slide_ids: Sequence[str] = (),
    ) -> BagBatch:
        """Pack bags given as separate ``(N_b, D)`` tensors."""
        sizes = tuple(len(f) for f in features)
        return cls(
            features=torch.cat(list(features)),
            offsets=_offsets(sizes, features[0].device),
            sizes=sizes,
            coords=torch.cat(list(coords)) if coords is not None else None,
            labels=dict(labels or {}),
            slide_ids=tuple(slide_ids),
        )

    @classmethod
    def of_rows(cls, features: Tensor, sizes: Sequence[int]) -> BagBatch:
        """Cut packed rows ``(sum N, D)`` into bags of ``sizes``."""
        return cls(features, _offsets(sizes, features.device), tuple(sizes))

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def dim(self) -> int:
        """Feature dimension ``D``."""
        return self.features.shape[1]

    @cached_property
    def segment(self) -> Tensor:
        """``(sum N,)`` int64: the bag every instance belongs to."""
        lengths = self.offsets.diff()
        bags = torch.arange(len(self), device=self.offsets.device)
        # output_size: without it the host would wait for the sum.
        return torch.repeat_interleave(bags, lengths, output_size=self.features.shape[0])

    def bags(self) -> Iterator[BagBatch]:
        """Yield the bags, each as a batch of one, for methods that process a bag at a time."""
        start = 0
        for b, size in enumerate(self.sizes):
            rows = slice(start, start + size)  # views: nothing is copied
            yield BagBatch(
                features=self.features[rows],
                offsets=_offsets((size,), self.features.device),
                sizes=(size,),
                coords=self.coords[rows] if self.coords is not None else None,
                labels={level: y[b : b + 1] for level, y in self.labels.items()},
                slide_ids=self.slide_ids[b : b + 1],
            )
            start += size

    def take(self, rows: Tensor, sizes: Sequence[int]) -> BagBatch:
        """Return some instances of every bag: packed ``rows``, bag after bag, ``sizes`` of each.

        Without edges, as in :meth:`bags`.
        """
        return replace(
            self,
            features=self.features[rows],  # a copy of the chosen rows
            offsets=_offsets(sizes, rows.device),
            sizes=tuple(sizes),
            coords=self.coords[rows] if self.coords is not None else None,
            edges=None,
        )

    def without_labels(self) -> BagBatch:
        """Return the same bags as seen at inference."""
        return replace(self, labels={})

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> BagBatch:
        """Copy to ``device``; ``dtype`` converts the features only."""
        return replace(
            self,
            features=self.features.to(device, dtype, non_blocking=True),  # asynchronous if pinned
            offsets=self.offsets.to(device, non_blocking=True),
            coords=self.coords.to(device, non_blocking=True) if self.coords is not None else None,
            edges=self.edges.to(device, non_blocking=True) if self.edges is not None else None,
            labels={k: v.to(device, non_blocking=True) for k, v in self.labels.items()},
        )


def _offsets(sizes: Sequence[int], device: torch.device) -> Tensor:
    ends = torch.tensor([0, *sizes], dtype=torch.int64).cumsum(0)  # a sum of integers on the host
    return ends.to(device)


# Rows of instances in memory with padding behind them, so that products have few shapes.
#
# oneDNN compiles a kernel for every new shape: a millisecond and more than a megabyte each, for
# every product of a model and every size of a bag. Products over rows and the padding behind them
# (:func:`padded_rows`) have at most 16 sizes per doubling. Padding is finite and never used:
# gradients have zero rows there.

STEP = 64
PADDED_FROM = 1024  # rows; smaller stored bags have no padding and are copied when used


def padded_rows(rows: int) -> int:
    """Return ``rows`` with padding: a multiple of :data:`STEP`, at most a sixteenth more."""
    # Steps grow with the size: at most 16 sizes per doubling.
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
        return x.as_strided((rows, dim), (dim, 1))  # the rows and what is stored behind them
    return x


def padded_grad(grad: Tensor, x: Tensor) -> Tensor:
    """Return ``grad`` with a zero row for every row of padding behind ``x``."""
    if len(with_padding(x)) == len(x):
        return grad
    if len(with_padding(grad)) == len(grad):
        # A gradient without room behind it is copied once.
        return with_padding(padded_empty_like(grad).copy_(grad))
    # Padding of a gradient that came from another layer may hold anything.
    memory = with_padding(grad)
    memory[len(grad) :].zero_()
    return memory
