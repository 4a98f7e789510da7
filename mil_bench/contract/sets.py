"""The sets of a fold, and how tools spell them. Imports no pandas, as scores need none."""

from __future__ import annotations

SETS = ("train", "val", "test")
_SPELLINGS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def set_name(text: str) -> str | None:
    """Return ``train``, ``val`` or ``test`` for ``Training``, ``valid``...; else ``None``."""
    return _SPELLINGS.get(text.strip().lower())
