"""Append bags to the files of a packed cache."""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import DTypeLike, NDArray

from mil_bench.bags.cache.index import COORDS, FEATURES, FORMAT, INDEX, Index, PackedBag, Stamp
from mil_bench.bags.store import bag_digests, padded_bag
from mil_bench.contract.store import Bag

ROWS_AT_ONCE = 65_536


class GrowingArray:
    """A .npy file of ``(length, width)`` that rows are appended to.

    Rows go through ``write``, not through a writable memory map: on a full disk the first raises
    an ``OSError``, the second kills the process. NumPy pads the header so that it can be written
    again with the final length.
    """

    def __init__(self, path: Path, width: int, dtype: DTypeLike) -> None:
        self.path, self.width, self.dtype, self.length = path, width, np.dtype(dtype), 0
        self._file = path.open("wb")  # length 0; rewritten on close
        self._write_header()

    def append(self, rows: NDArray[np.number]) -> None:
        """Add ``(n, width)`` rows, converted to the file's type."""
        # No copy of what has the type already.
        self._file.write(np.ascontiguousarray(rows, self.dtype).data)
        self.length += len(rows)

    def close(self) -> None:
        """Write the final length and wait until the bytes are on the disk."""
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Close an unfinished file, even where its buffer does not fit on the disk."""
        try:
            self._file.close()
        except OSError:
            self._file.raw.close()  # without flushing what does not fit

    def _write_header(self) -> None:
        header = {
            "descr": npy_format.dtype_to_descr(self.dtype),
            "fortran_order": False,
            "shape": (self.length, self.width),
        }
        npy_format.write_array_header_1_0(self._file, header)


class PackWriter:
    """``with PackWriter(folder, encoder) as writer: writer.add(...)``; the index comes last.

    Features stay float16 while every bag is; the first float32 bag widens what is written.
    """

    def __init__(self, folder: Path, encoder: str) -> None:
        self.folder, self.encoder = folder, encoder
        self.bags: dict[str, PackedBag] = {}
        self.seen_encoder: str | None = None  # what the files themselves name, if they do
        self._features: GrowingArray | None = None
        self._coords = GrowingArray(folder / COORDS, 2, np.float64)

    def __enter__(self) -> PackWriter:
        return self

    @property
    def whole_slides(self) -> bool | None:
        """Whether the bags so far are slide embeddings; ``None`` before the first."""
        return next((bag.whole_slide for bag in self.bags.values()), None)

    @property
    def dim(self) -> int | None:
        """Feature dimension of the bags so far."""
        return self._features.width if self._features else None

    def add(self, slide: str, bag: Bag, stamp: Stamp) -> None:
        """Append one bag of :attr:`dim` features, read from the files of ``stamp``."""
        features = self._target(bag)
        self.seen_encoder = self.seen_encoder or bag.encoder
        digest, coords_digest = bag_digests(bag)
        self.bags[slide] = PackedBag(
            start=features.length,
            length=len(bag),
            stamp=stamp,
            dtype=bag.features.dtype.name,
            writer=bag.writer,
            unit=bag.unit,
            anchor=bag.anchor,
            patch_size=bag.patch_size,
            encoder=bag.encoder,
            digest=digest,
            coords_digest=coords_digest,
            whole_slide=bag.whole_slide,
        )
        features.append(padded_bag(bag.features))
        # The arrays stay parallel: a bag without coordinates has NaN in its rows.
        unknown = np.full((len(bag), 2), np.nan)
        self._coords.append(padded_bag(unknown if bag.coords is None else bag.coords))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        arrays = [self._coords, *([self._features] if self._features else [])]
        # On an error the folder is removed; only the file handles have to go.
        if error is not None:
            for array in arrays:
                array.abandon()
            return
        for array in arrays:
            array.close()
        if self._features:
            self._write_index(self._features)

    def _target(self, bag: Bag) -> GrowingArray:
        dtype = bag.features.dtype
        if self._features is None:
            # Opened with the first bag, which tells the width.
            self._features = GrowingArray(self.folder / FEATURES, bag.dim, dtype)
        elif self._features.dtype == np.float16 and dtype == np.float32:
            self._features = _widened(self._features)
        return self._features

    def _write_index(self, features: GrowingArray) -> None:
        index = Index(
            format=FORMAT,
            encoder=self.encoder,
            dim=features.width,
            total=features.length,
            bags=self.bags,
        )
        with (self.folder / INDEX).open("w") as file:
            file.write(index.model_dump_json())
            file.flush()
            # The index makes the cache valid: it must not precede its arrays.
            os.fsync(file.fileno())


def _widened(narrow: GrowingArray) -> GrowingArray:
    """The same rows as float32, in place of the float16 file."""
    narrow.close()
    rows = np.load(narrow.path, mmap_mode="r")
    # A temporary name until it is complete.
    wide = GrowingArray(narrow.path.with_suffix(".wide"), narrow.width, np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        wide.append(rows[start : start + ROWS_AT_ONCE])
    wide.path = wide.path.replace(narrow.path)  # the open file follows its name
    return wide
