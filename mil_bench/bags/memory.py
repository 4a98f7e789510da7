"""How much memory this process may still take."""

from __future__ import annotations

import os
from pathlib import Path

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
