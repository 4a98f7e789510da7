"""Prepare the next batch in a thread while the model works on the present one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

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
