"""Patches of a bag: their places (level-0 pixels, um or index), and which show a known class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

from mil_bench.bags.formats.h5 import grid_step
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.store import BagStore

PlaceUnit = Literal["level0_px", "um", "index"]
ON_GRID = 0.9  # share of patches on the grid of the commonest step for it to be one


@dataclass(frozen=True)
class Places:
    """``corners`` ``(N, 2)``: top left (x, y) of squares of ``side``, both in ``unit``.

    ``note`` says what was unknown and is assumed, or is empty.
    """

    corners: NDArray[np.float64]
    side: float
    unit: PlaceUnit
    note: str = ""

    @property
    def squares(self) -> NDArray[np.float64]:
        """``(N, 4, 2)``: the corners of every square, clockwise on the screen from top left."""
        # Clockwise, as outline expects neighbours.
        around = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * self.side
        return self.corners[:, None] + around

    def in_pixels(self, mpp: float | None) -> Places | None:
        """Convert to level-0 pixels of ``mpp`` um each; ``None`` if that is impossible."""
        if self.unit == "level0_px":
            return self
        if self.unit == "index" or mpp is None:
            return None
        return replace(self, corners=self.corners / mpp, side=self.side / mpp, unit="level0_px")


def places_of(store: BagStore, slide_id: str) -> Places:
    """Return the places of a bag's patches; without coordinates a plain grid by index."""
    xy, tiling = store.bag_coords(slide_id), store.tiling(slide_id)
    if xy is None:
        return by_index(store.rows[slide_id][1])
    unit: PlaceUnit = "um" if tiling.unit == "um" else "level0_px"
    side, note = tiling.patch_size, ""
    if side is None:
        side, note = _guessed(xy)
    # slideflow stores centres.
    corners = xy - side / 2 if tiling.anchor == "center" else np.array(xy)
    return Places(corners, float(side), unit, note)


def by_index(n: int) -> Places:
    """Return ``n`` unit squares row by row."""
    y, x = np.divmod(np.arange(n), int(np.ceil(np.sqrt(n))))
    note = "coordinates are unknown: patches are drawn row by row in the order of the bag"
    return Places(np.stack([x, y], axis=1).astype(np.float64), 1.0, "index", note)


def outline(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(E, 2, 2)``, the sides of ``(N, 4, 2)`` squares that belong to one square only."""
    # The two ends of every side.
    ends = np.stack([squares, np.roll(squares, -1, axis=1)], axis=2).reshape(-1, 2, 2)
    turned = (ends[:, 0] > ends[:, 1]).any(1)  # sides are parallel to an axis
    ends[turned] = ends[turned, ::-1]
    # Rounded: two squares compute a shared side from different corners.
    sides, counts = np.unique(ends.round(6), axis=0, return_counts=True)
    once: NDArray[np.float64] = sides[counts == 1]  # inner sides occur twice
    return once


def _guessed(xy: NDArray[np.float64]) -> tuple[float, str]:
    """Guess the unknown side of patches; the side and a note on how."""
    step = grid_step(xy)
    if step is not None:
        steps = (xy - xy.min(0)) / step
        # Nearly all patches are on one grid, so its step is their size.
        if (np.abs(steps - steps.round()) < 0.01).all(1).mean() >= ON_GRID:
            return step, "the patch size is unknown: the grid step is drawn"
    distinct = np.unique(xy, axis=0)  # equal places would have distance 0
    if len(distinct) < 2:
        return 1.0, "the patch size is unknown"
    # k=2: the first neighbour is the place itself.
    nearest = np.asarray(KDTree(distinct).query(distinct, k=2)[0])[:, 1]
    note = "the patch size is unknown: the median distance of neighbours is drawn"
    return float(np.median(nearest)), note


# Which patches are known to show a class.


@dataclass(frozen=True)
class KnownPatches:
    """``mask`` ``(N,)``: the patches known to show class ``name``."""

    name: str
    mask: NDArray[np.bool_]


def witnesses_of(marks: Sequence[str], tree: Taxonomy, level: str, name: str) -> NDArray[np.bool_]:
    """Return ``(N,)``: patches marked with class ``name`` of ``level`` or with a node below it.

    A mark may be any node of the tree; other names are background.
    """
    depth = tree.levels.index(level)
    below = {
        node
        for path in tree.paths
        # A mark may be a node above the leaves, whose path ends early.
        if path[min(depth, len(path) - 1)] == name
        for node in (path[depth:] or path[-1:])
    }
    return np.array([mark in below for mark in marks], dtype=np.bool_)
