"""Memory above a mark, in MiB: resident memory of the process on a CPU, allocated on CUDA."""

from __future__ import annotations

import ctypes
import ctypes.util
import gc

import torch

from mil_bench.runs.environment import peak_memory_mb, reset_peak_memory


def used_mb(device: torch.device) -> float:
    """Return memory in use now; the peak starts again from here."""
    gc.collect()
    _give_back()
    reset_peak_memory(device)
    return peak_memory_mb(device)


def _give_back() -> None:
    """Return freed heap pages to the system, so that they do not hide what is taken next."""
    name = ctypes.util.find_library("c")
    libc = ctypes.CDLL(name) if name else None
    if hasattr(libc, "malloc_trim"):
        libc.malloc_trim(0)  # type: ignore[union-attr]
