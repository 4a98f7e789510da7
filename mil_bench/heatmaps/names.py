"""Names of files for classes, whatever the classes are called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

from mil_bench.heatmaps.relevance import ScoreMap


def file_names(maps: Sequence[ScoreMap]) -> dict[str, str]:
    """Title of a map -> a file name without suffix, ``leaf_DCIS``; different for different maps.

    Names that are no plain words, or equal but for their case, get a few digits of their hash.
    """
    plain = {m.title: _plain(f"{m.level}_{m.name}") for m in maps}
    lower = [name.lower() for name in plain.values()]
    return {
        title: name if lower.count(name.lower()) == 1 else f"{name}-{_digest(title)}"
        for title, name in plain.items()
    }


def _plain(text: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", text).strip("-.")


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:6]
