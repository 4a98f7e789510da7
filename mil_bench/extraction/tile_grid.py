"""Which tiles of a slide are extracted, and how they are read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import SlideError
from mil_bench.extraction.slide import Slide, best_level
from mil_bench.extraction.tissue import Mask

SNAP = 0.02  # 0.499 and 0.252 um per pixel are called 0.5 and 0.25; nothing is resized for that
FINEST = 0.8  # a slide this much coarser than asked for may still be enlarged
BLOCK = 4  # tiles per side of what is read at once
DENSE = 0.7  # share of a block that must be wanted to read all of it
LARGEST_READ = 4096  # pixels per side of what is read at once

Coords = NDArray[np.int64]


@dataclass(frozen=True)
class TileGrid:
    """A tile covers ``step`` level-0 pixels and is read from ``level``, ``downsample`` of it."""

    step: int
    level: int
    downsample: float

    @property
    def pixels(self) -> float:
        """Width of a tile in pixels of its level."""
        return self.step / self.downsample

    @property
    def block(self) -> int:
        """Tiles per side of what is read at once."""
        return max(1, min(BLOCK, int(LARGEST_READ // self.pixels)))


@dataclass(frozen=True)
class TileBlock:
    """Neighbouring tiles read at once.

    ``corner`` (x, y) in level-0 pixels; ``columns`` x ``rows`` tiles; ``tiles`` are the rows of the
    bag that are in it, ``places`` ``(n, 2)`` their (column, row).
    """

    corner: tuple[int, int]
    columns: int
    rows: int
    tiles: NDArray[np.int64]
    places: NDArray[np.int64]


def choose_grid(slide: Slide, slide_mpp: float, mpp: float, tile: int) -> TileGrid:
    """Return tiles of ``tile`` pixels at ``mpp`` um per pixel.

    Raises ``SlideError`` when the slide is coarser than that, or smaller than one tile.
    """
    factor = mpp / slide_mpp
    if factor < FINEST:
        raise SlideError(
            f"its finest level has {slide_mpp:.3g} um per pixel, coarser than the requested "
            f"{mpp:g}; extract it with --mpp {slide_mpp:.2g} or leave it out."
        )
    nearest = max(1, round(factor))
    if abs(factor - nearest) <= SNAP * nearest:
        factor = nearest
    step = round(tile * factor)
    if step > min(slide.width, slide.height):
        raise SlideError(
            f"it has {slide.width} x {slide.height} pixels, less than one tile of {step} ({tile} "
            f"at {mpp:g} um per pixel); use a smaller --tile or leave it out."
        )
    level = best_level(slide.downsamples, factor)
    return TileGrid(step, level, slide.downsamples[level])


def all_tiles(slide: Slide, step: int) -> Coords:
    """Return ``(N, 2)`` top-left corners (x, y) of all whole tiles, row after row."""
    rows, columns = slide.height // step, slide.width // step
    y, x = np.divmod(np.arange(rows * columns), columns)
    return np.stack([x, y], axis=1) * step


def tissue_share(mask: Mask, scale: float, coords: Coords, step: int) -> NDArray[np.float64]:
    """Return ``(N,)``: the share of every tile that is tissue; ``scale`` level-0 pixels per mask
    pixel.
    """
    height, width = mask.shape
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = mask.cumsum(0, dtype=np.int64).cumsum(1)
    left, top = np.clip(np.floor(coords / scale).astype(int), 0, [width - 1, height - 1]).T
    ends = np.ceil((coords + step) / scale).astype(int)
    right, bottom = np.clip(ends, 1, [width, height]).T
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    share: NDArray[np.float64] = inside / ((right - left) * (bottom - top))
    return share


def blocks(coords: Coords, tiling: TileGrid) -> Iterator[TileBlock]:
    """Yield the tiles at ``coords`` in blocks, each as small as its tiles allow, row after row.

    Where tiles are sparse, the rows of a block are read by themselves.
    """
    places = coords // tiling.step
    home = places // tiling.block
    order = np.lexsort((home[:, 0], home[:, 1]))
    changes = np.flatnonzero(np.any(np.diff(home[order], axis=0), axis=1)) + 1
    for tiles in np.split(order, changes):
        whole = _block(tiles, places, tiling.step)
        if len(tiles) >= DENSE * whole.columns * whole.rows:
            yield whole
            continue
        for row in np.unique(places[tiles, 1]):
            yield _block(tiles[places[tiles, 1] == row], places, tiling.step)


def _block(tiles: NDArray[np.int64], places: NDArray[np.int64], step: int) -> TileBlock:
    first = places[tiles].min(0)
    columns, rows = (int(n) for n in places[tiles].max(0) - first + 1)
    x, y = (int(n) for n in first * step)
    return TileBlock((x, y), columns, rows, tiles, places[tiles] - first)
