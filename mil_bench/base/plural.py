"""Counts in sentences."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """Return ``1 run`` or ``2 runs``; ``plural`` is for words that do not just take an s."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
