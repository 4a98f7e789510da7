"""How much memory this process may still take."""

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
    """Bytes of RAM: what the system could give without swapping, within the limits of its groups.

    Batch systems and containers limit memory by control groups (version 2 is read); exceeding them
    ends the process. Where the system does not tell, all its memory.
    """
    if not (proc / "meminfo").exists():
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    found = int(_after("MemAvailable:", proc / "meminfo")) * 1024
    own = (proc / "self" / "cgroup").read_text().partition("0::/")[2].partition("\n")[0]
    folders = [groups / own, *(groups / own).parents]
    limited = [folder for folder in folders if (folder / "memory.max").exists()]
    return min([found, *(_left(folder, found) for folder in limited)])


def _left(group: Path, without_limit: int) -> int:
    """What a control group may still take; its file pages can be dropped and do not count."""
    limit = (group / "memory.max").read_text().strip()
    if limit == "max":
        return without_limit
    return max(int(limit) - int(_after("anon ", group / "memory.stat")), 0)


def _after(name: str, path: Path) -> str:
    return path.read_text().partition(name)[2].split()[0]


# Where features are between two uses: ``mil-bench run --placement``.

CacheChoice = Literal["auto", "ram", "gpu", "none"]
Home = Literal["ram", "gpu", "none"]

GPU_SHARE = 0.4  # of the free device memory; the rest is for models and activations
RAM_SHARE = 0.5  # of the available memory; the rest keeps the packed files in the page cache
GIGABYTE = 1e9


def choose_home(
    choice: CacheChoice,
    store: BagStore,
    dtype: torch.dtype,
    places: Sequence[torch.device],
    *,
    standardize: bool = False,
) -> Home:
    """Where every process of a grid keeps its features; ``places`` is the device of each of them.

    It is asked for every type that runs of the grid want; a process keeps one type at a time.

    ``none``: nowhere but in the packed file, which all processes share and the system keeps in
    memory as long as there is room. ``ram``: a copy per process of the bags used, in the type
    ``dtype`` of training and standardised. ``gpu``: such a copy on the process's device. ``auto``:
    ``gpu`` where it takes at most ``GPU_SHARE`` of the free device memory, else ``ram`` where it
    saves converting every bag in every epoch and takes at most ``RAM_SHARE`` of the available
    memory, else ``none``. Results do not depend on it.

    Raises ``UsageError`` for ``gpu`` without a GPU, ``RunError`` for what does not fit.
    """
    need = sum(length for _, length in store.rows.values()) * store.dim * dtype.itemsize
    on_cuda = all(device.type == "cuda" for device in places)
    if choice == "auto":
        converts = standardize or str(store.features.dtype) != str(dtype).removeprefix("torch.")
        if on_cuda and need <= GPU_SHARE * _free_on_gpu(places):
            return "gpu"
        return (
            "ram" if converts and need * len(places) <= RAM_SHARE * available_memory() else "none"
        )
    if choice == "gpu":
        if not on_cuda:
            raise UsageError(
                "--placement gpu requires a CUDA device, but these runs execute on the CPU; use "
                "--placement auto, ram or none."
            )
        _refuse_beyond(need, _free_on_gpu(places), "gpu", "the GPU")
    if choice == "ram":
        _refuse_beyond(need, available_memory() // len(places), "ram", "memory")
    return choice


def _free_on_gpu(places: Sequence[torch.device]) -> int:
    """Bytes free on the fullest device for each of the processes that use it."""
    return min(torch.cuda.mem_get_info(gpu)[0] // n for gpu, n in Counter(places).items())


def _refuse_beyond(need: int, free: int, choice: str, where: str) -> None:
    if need > free:
        raise RunError(
            f"--placement {choice} requires {need / GIGABYTE:.1f} GB per process for the features "
            f"({free / GIGABYTE:.1f} GB of {where} are free); use --placement none or auto, or "
            "fewer --jobs."
        )
