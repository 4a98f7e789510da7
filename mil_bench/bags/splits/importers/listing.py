"""What a split file says, before its ids are matched with a dataset."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mil_bench.base.errors import SplitError
from mil_bench.contract.split import set_name


@dataclass(frozen=True)
class Listing:
    """Ids as written, per fold and set.

    ``origin`` is the writer (``clam``), ``folds`` hold ``train``, ``val`` or ``test`` -> ids; a set
    that the file leaves out is absent. ``patients``: the ids are patients, not slides.
    """

    origin: str
    folds: tuple[Mapping[str, list[str]], ...]
    patients: bool = False


def by_set(ids: list[str], cells: list[str], where: str) -> dict[str, list[str]]:
    """Ids grouped by the set in ``cells``; a blank cell leaves the id out."""
    sets: dict[str, list[str]] = {}
    for slide, cell in zip(ids, cells, strict=True):
        if cell:
            name = set_name(cell)
            if name is None:
                raise SplitError(f"{where} holds the set {cell!r}; expected train, val or test.")
            sets.setdefault(name, []).append(slide)
    return sets
