"""What the CPU of this machine is, as the operating system tells."""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")


@cache
def cpuinfo() -> dict[str, str]:
    """Linux's fields of the first processor (``vendor_id``, ``flags``, ...); empty elsewhere."""
    if not _CPUINFO.exists():
        return {}
    first = _CPUINFO.read_text().split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def is_amd() -> bool:
    """Whether AMD made the processor."""
    return "AuthenticAMD" in (cpuinfo().get("vendor_id", ""), *platform.processor().split(", "))


def multiplies_bf16() -> bool:
    """Whether the processor has instructions for bfloat16 products (AVX512-BF16, AMX, Arm)."""
    flags = {*cpuinfo().get("flags", "").split(), *cpuinfo().get("Features", "").split()}
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})
