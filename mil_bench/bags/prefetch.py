"""Work ahead: read parts of a mapped file, and prepare the next batch, before they are used."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray


def read_ahead(features: NDArray[np.floating], start: int, length: int) -> None:
    """Request rows ``start`` to ``start + length`` of a mapped array, without waiting for them.

    A view of a map is read when it is used, sequentially and in small pieces. Requested rows are
    read in large pieces while the model works on something else. An array in memory has nothing to
    read.
    """
    source: object = features.base
    if not isinstance(source, mmap.mmap) or not hasattr(mmap, "MADV_WILLNEED"):
        return
    origin = np.frombuffer(source, dtype=np.uint8).ctypes.data
    row = features.strides[0]
    first = features.ctypes.data - origin + start * row
    # madvise takes whole pages: it refuses an address in the middle of one.
    page = first - first % mmap.PAGESIZE
    source.madvise(mmap.MADV_WILLNEED, page, first + length * row - page)


# The next batch, prepared in a thread while the model works on the present one.

T = TypeVar("T")


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items, each made while its predecessor is in use.

    An error in the thread is raised here, in its place in the order. When the caller stops early,
    the item being made is finished and the thread ends.
    """
    end = object()
    # One item and not more, because each one may be a large share of the memory of the device.
    with ThreadPoolExecutor(1, "mil-bench-loader") as thread:
        pending = thread.submit(next, items, end)
        while (item := pending.result()) is not end:
            pending = thread.submit(next, items, end)
            yield item  # type: ignore[misc]


def spare_core() -> bool:
    """Return whether a core is free for a thread: more cores than the model has threads."""
    # Batch systems bind a process to some of the cores; Linux tells which.
    bound = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if bound else os.cpu_count() or 1
    return cores > torch.get_num_threads()
