"""Match the ids of a split file with the slides of a dataset."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mil_bench.bags.formats.slide_ids import FEATURE_SUFFIXES, normalise
from mil_bench.errors import SplitError, nearest


def bare_name(slide_id: str) -> str:
    """The slide name without folder, feature suffix, slide suffix, ``_feat`` and ``.0``."""
    name = re.split(r"[\\/]", slide_id)[-1]
    suffix = next((s for s in FEATURE_SUFFIXES if name.lower().endswith(s)), "")
    name = normalise(name[: len(name) - len(suffix)])
    # pandas writes a ragged column of whole numbers as floats.
    return name[:-2] if re.fullmatch(r"\d+\.0", name) else name


def match(listed: Iterable[str], known: Iterable[str], where: str) -> dict[str, str]:
    """Id as listed -> slide of ``known``: the same text, else the same normalised name.

    Never by prefix or substring (``BRACS_74`` is not ``BRACS_747``). Raises ``SplitError`` listing
    the ids that match no slide, or more than one.
    """
    exact = set(known)
    by_name: dict[str, list[str]] = {}
    for slide in exact:
        by_name.setdefault(bare_name(slide), []).append(slide)
    found: dict[str, str] = {}
    unknown: list[str] = []
    for name in dict.fromkeys(listed):
        homes = [name] if name in exact else by_name.get(bare_name(name), [])
        if len(homes) == 1:
            found[name] = homes[0]
        else:
            unknown.append(name)
    if unknown:
        raise SplitError(_message(unknown, exact, where))
    return found


def _message(unknown: list[str], known: set[str], where: str) -> str:
    shown = ", ".join(unknown[:10]) + (", ..." if len(unknown) > 10 else "")
    near = nearest(unknown[0], sorted(known), 5)
    hint = f" (nearest to the first: {', '.join(near)})" if near else ""
    return (
        f"{where} lists {len(unknown)} slides that are not in the dataset or fit several of its "
        f"slides: {shown}{hint}; correct the ids or remove them from the split."
    )
