"""Counts as people write them."""

from __future__ import annotations


def counted(number: int, one: str, many: str = "") -> str:
    """``1 run``, ``2 runs``; ``many`` for words whose plural is not made with an s."""
    return f"{number} {one if number == 1 else many or one + 's'}"
