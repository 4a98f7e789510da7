"""Devices, memory and disks of this machine."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import torch

from mil_bench.bags.placement import available_memory
from mil_bench.base.finding import Finding
from mil_bench.runs.environment import driver, processor

GIGABYTE = 1e9


def size(number: float) -> str:
    """Return a number of bytes as text: ``12.0 MB``, ``3.4 GB``."""
    for unit, of in {"GB": GIGABYTE, "MB": 1e6}.items():
        if number >= of:
            return f"{number / of:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"


LITTLE_MEMORY = 2 * GIGABYTE  # one process with torch and a small dataset takes about a quarter
LITTLE_DISK = 5 * GIGABYTE  # packed features of one cohort can take more
NO_DISK = 0.1 * GIGABYTE  # checkpoints of a few runs


def check_devices() -> Iterator[Finding]:
    """Report the processor and every GPU that torch can use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("processor", f"{processor()}, {cores} cores for this process")
    for i in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(i)
        name = torch.cuda.get_device_name(i)
        yield Finding(f"cuda:{i}", f"{name}, {size(free)} of {size(total)} free, driver {driver()}")
    if torch.cuda.device_count() == 0:
        yield _no_gpu(driver(), torch.version.cuda)


def _no_gpu(driver: str | None, cuda: str | None) -> Finding:
    if driver is None:
        return Finding("GPU", "none; runs use the CPU")
    if cuda is None:
        advice = "install a CUDA build of torch (pytorch.org)"
        return Finding("GPU", f"driver {driver}, but torch is a CPU build", "note", advice)
    return Finding(
        "GPU",
        f"driver {driver}, but torch for CUDA {cuda} finds no device",
        "note",
        "check `nvidia-smi` and CUDA_VISIBLE_DEVICES; the driver may be too old for this torch",
    )


def check_memory() -> Iterator[Finding]:
    """Report the free RAM, within the limits of a container or batch job."""
    free = available_memory()
    if free < LITTLE_MEMORY:
        advice = "use --jobs 1 and --placement none, or close other programs"
        yield Finding("memory", f"{size(free)} free", "note", advice)
    else:
        yield Finding("memory", f"{size(free)} free")


def check_folder(subject: str, folder: Path, option: str) -> Iterator[Finding]:
    """Report whether a folder can be written (or made) and the free space of its disk."""
    parent = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(parent).free
    fact = f"{folder}: {size(free)} free"
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        advice = f"choose another folder by {option}, or change its permissions"
        yield Finding(subject, f"{folder} cannot be written", "problem", advice)
    elif free < NO_DISK:
        advice = f"free some space, or choose another disk by {option}"
        yield Finding(subject, fact, "problem", advice)
    elif free < LITTLE_DISK:
        advice = f"packed features can be large: free some space, or use another disk by {option}"
        yield Finding(subject, fact, "note", advice)
    else:
        yield Finding(subject, fact)
