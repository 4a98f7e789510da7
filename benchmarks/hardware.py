"""What a number was measured on, and the folder its results go to."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

import torch

from mil_bench.runs.environment import device_name, processor

INSTRUCTIONS: Final = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "asimd", "sve", "bf16")
"""Flags of a CPU that decide which matrix kernels it can run."""


def hardware(device: torch.device) -> dict[str, Any]:
    """Return facts about the machine, for the head of a results file."""
    facts: dict[str, Any] = {
        "device": device_name(device),
        "cpu": processor(),
        "cores": cores(),
        "instructions": [name for name in INSTRUCTIONS if name in cpu_flags()],
    }
    if device.type == "cuda":
        facts["memory_gib"] = round(torch.cuda.get_device_properties(device).total_memory / 2**30)
        facts["cuda"] = torch.version.cuda
    return facts


def slug(device: torch.device) -> str:
    """Return ``amd-epyc-2-cores`` or ``nvidia-h200``."""
    name = device_name(device)
    if device.type != "cuda":
        name += f" {cores()} cores"
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def cores() -> int:
    """Return cores of the machine, whether or not this process may use them all."""
    return os.cpu_count() or 1


def cpu_flags() -> set[str]:
    """Return instruction sets the system names; empty where it names none."""
    info = Path("/proc/cpuinfo")
    for line in info.read_text().splitlines() if info.exists() else ():
        if line.startswith(("flags", "Features")):
            return set(line.partition(":")[2].split())
    return set()
