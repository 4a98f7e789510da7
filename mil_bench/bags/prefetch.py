"""Let the system read parts of a mapped file before they are used."""

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


# Prepare the next batch in a thread while the model works on the present one.

T = TypeVar("T")


def one_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, each made while its predecessor is in use; never more than one ahead.

    An error in the thread is raised here, in its place in the order. When the caller stops early,
    the item in the making is finished and the thread ends.
    """
    done = object()
    with ThreadPoolExecutor(1, "mil-bench-loader") as thread:
        coming = thread.submit(next, items, done)
        while (item := coming.result()) is not done:
            coming = thread.submit(next, items, done)
            yield item  # type: ignore[misc]


def spare_core() -> bool:
    """Whether a thread can work beside the model: more cores than the model has threads."""
    counted = hasattr(os, "sched_getaffinity")
    cores = len(os.sched_getaffinity(0)) if counted else os.cpu_count() or 1
    return cores > torch.get_num_threads()
