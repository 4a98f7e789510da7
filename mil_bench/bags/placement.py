"""Placement of features between two uses, ``run --placement``, and the memory there is for it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from mil_bench.base.errors import RunError, UsageError
from mil_bench.contract.store import BagStore

GROUPS = Path("/sys/fs/cgroup")


def available_memory(proc: Path = Path("/proc"), groups: Path = GROUPS) -> int:
    """Return the bytes of RAM that are free without swapping, within limits of control groups.

    Batch systems and containers limit memory by control groups (version 2 is read); the system
    ends a process that exceeds them. Return all memory of a system without ``/proc``.
    """
    if not (proc / "meminfo").exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    free = int(_after("MemAvailable:", proc / "meminfo")) * 1024
    # "0::/path": version 2.
    group = (proc / "self" / "cgroup").read_text().partition("0::/")[2].partition("\n")[0]
    folders = [groups / group, *(groups / group).parents]  # limits of all groups above count too
    limited = [folder for folder in folders if (folder / "memory.max").exists()]
    return min([free, *(_left(folder, free) for folder in limited)])  # the tightest


def _left(group: Path, without_limit: int) -> int:
    """Bytes that a control group may still allocate."""
    limit = (group / "memory.max").read_text().strip()
    if limit == "max":
        return without_limit
    # Only anonymous memory counts: the system drops pages of files when it needs their memory.
    return max(int(limit) - int(_after("anon ", group / "memory.stat")), 0)


def _after(name: str, path: Path) -> str:
    return path.read_text().partition(name)[2].split()[0]


# The choice of a place.

PlacementChoice = Literal["auto", "ram", "gpu", "none"]
Placement = Literal["ram", "gpu", "none"]

GPU_SHARE = 0.4  # of the free device memory; the rest is for models and activations
RAM_SHARE = 0.5  # of the available memory; the rest keeps the packed files in the page cache
GIGABYTE = 1e9


def choose_placement(
    choice: PlacementChoice,
    store: BagStore,
    dtype: torch.dtype,
    devices: Sequence[torch.device],
    *,
    standardize: bool = False,
) -> Placement:
    """Choose where every process of a grid keeps features of ``dtype``. Results do not change.

    ``devices`` has the device of every process; a process keeps one type of features at a time.

    ``none``: only in the packed file, which all processes share and the system keeps in memory
    while there is room. ``ram``: a copy per process of the bags used, converted and standardised.
    ``gpu``: such a copy on the process's device. ``auto``: ``gpu`` if it takes at most
    ``GPU_SHARE`` of the free device memory. Else ``ram`` if bags would otherwise be converted in
    every epoch and if it takes at most ``RAM_SHARE`` of the available memory. Else ``none``.

    Raises ``UsageError`` for ``gpu`` without a GPU, ``RunError`` for what does not fit.
    """
    need = sum(length for _, length in store.rows.values()) * store.dim * dtype.itemsize
    on_cuda = all(device.type == "cuda" for device in devices)
    if choice == "auto":
        # "float16" of NumPy and of torch.
        converts = standardize or str(store.features.dtype) != str(dtype).removeprefix("torch.")
        if on_cuda and need <= GPU_SHARE * _free_on_gpu(devices):
            return "gpu"
        return (
            "ram" if converts and need * len(devices) <= RAM_SHARE * available_memory() else "none"
        )
    if choice == "gpu":
        if not on_cuda:
            raise UsageError(
                "--placement gpu requires a CUDA device, but these runs execute on the CPU; use "
                "--placement auto, ram or none."
            )
        _refuse_beyond(need, _free_on_gpu(devices), "gpu", "the GPU")
    if choice == "ram":
        _refuse_beyond(need, available_memory() // len(devices), "ram", "memory")
    return choice


def _free_on_gpu(devices: Sequence[torch.device]) -> int:
    """Bytes that each process may use of the fullest device."""
    return min(torch.cuda.mem_get_info(gpu)[0] // n for gpu, n in Counter(devices).items())


def _refuse_beyond(need: int, free: int, choice: str, where: str) -> None:
    if need > free:
        raise RunError(
            f"--placement {choice} requires {need / GIGABYTE:.1f} GB per process for the features "
            f"({free / GIGABYTE:.1f} GB of {where} are free); use --placement none or auto, or "
            "fewer --jobs."
        )
