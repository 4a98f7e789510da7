"""Numbers of bytes."""

from __future__ import annotations

GIGABYTE = 1e9


def size(number: float) -> str:
    """Bytes for people: ``12 MB``, ``3.4 GB``."""
    for unit, of in {"GB": GIGABYTE, "MB": 1e6}.items():
        if number >= of:
            return f"{number / of:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"
