"""Which patches are known to show a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.taxonomy import Taxonomy


@dataclass(frozen=True)
class Known:
    """``mask`` ``(N,)``: the patches known to show class ``name``."""

    name: str
    mask: NDArray[np.bool_]


def witnesses_of(marks: Sequence[str], tree: Taxonomy, level: str, name: str) -> NDArray[np.bool_]:
    """``(N,)``: patches marked with class ``name`` of ``level`` or with a node below it.

    A mark may be any node of the tree; other names are background.
    """
    depth = tree.levels.index(level)
    below = {
        node
        for path in tree.paths
        if path[min(depth, len(path) - 1)] == name
        for node in (path[depth:] or path[-1:])
    }
    return np.array([mark in below for mark in marks], dtype=np.bool_)
