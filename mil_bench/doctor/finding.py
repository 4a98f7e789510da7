"""One fact about this machine and, where something is wrong, a line of advice."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "problem"]
GIGABYTE = 1e9


@dataclass(frozen=True)
class Finding:
    """``problem`` stops runs, ``note`` may surprise; both come with ``advice``."""

    subject: str
    fact: str
    state: State = "ok"
    advice: str = ""


def size(number: float) -> str:
    """Bytes for people: ``12 MB``, ``3.4 GB``."""
    for unit, of in {"GB": GIGABYTE, "MB": 1e6}.items():
        if number >= of:
            return f"{number / of:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"
