"""Let the system read parts of a mapped file before they are used."""

from __future__ import annotations

import mmap

import numpy as np
from numpy.typing import NDArray


def read_ahead(features: NDArray[np.floating], start: int, length: int) -> None:
    """Ask for rows ``start`` to ``start + length`` of a mapped array, without waiting for them.

    A view of a map is read when it is used, in small pieces and one after another; what has been
    asked for is read in large ones while the model works on something else. An array in memory has
    nothing to read.
    """
    source: object = features.base
    if not isinstance(source, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    origin = np.frombuffer(source, dtype=np.uint8).ctypes.data
    row = features.strides[0]
    first = features.ctypes.data - origin + start * row
    page = first - first % mmap.PAGESIZE
    source.madvise(mmap.MADV_WILLNEED, page, first + length * row - page)
