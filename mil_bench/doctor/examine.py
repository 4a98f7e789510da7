"""All checks in the order in which they are read."""

from __future__ import annotations

from pathlib import Path

from mil_bench.bags.cache.pack import default_cache
from mil_bench.doctor.data import check_cache, check_data
from mil_bench.doctor.machine import check_devices, check_folder, check_memory
from mil_bench.doctor.software import check_software
from mil_bench.doctor.storage import check_storage
from mil_bench.finding import Finding


def examine(
    runs: Path, data_root: Path | None, cache: Path | None, storage: str | None
) -> list[Finding]:
    """Look at software, devices, memory, disks, data and the storage of tuning studies."""
    packed = cache or default_cache()
    return [
        *check_software(),
        *check_devices(),
        *check_memory(),
        *check_folder("runs folder", runs, "--runs"),
        *check_folder("cache folder", packed, "--cache-dir"),
        *check_cache(packed),
        *check_data(data_root),
        *check_storage(runs, storage),
    ]
