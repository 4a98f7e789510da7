"""What is read of a slide: its tissue, its tiles and the blocks they are read in."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import SlideError
from mil_bench.extraction.settings import ExtractionSettings, SlideSource
from mil_bench.extraction.slide import Overview, Slide, best_level, open_slide, overview
from mil_bench.extraction.tissue import EVERYTHING, MASK_MPP, PRESETS, Mask, tissue_mask

AHEAD = 2  # slides whose tissue is found while the one before is read
SPARE_BYTES = 2**20  # beside the features: coordinates, picture


@dataclass(frozen=True)
class SlidePlan:
    """Tiles of one slide.

    ``coords`` ``(N, 2)`` are top-left corners in level-0 pixels, row after row. ``mpp`` is um per
    level-0 pixel and ``size`` the (width, height) of level 0. ``mask`` is ``None`` if every tile
    counts as tissue.
    """

    source: SlideSource
    mpp: float
    size: tuple[int, int]
    tiling: TileGrid
    coords: TileCorners
    blocks: tuple[TileBlock, ...]
    overview: Overview
    mask: Mask | None


PlanOrReason = SlidePlan | tuple[SlideSource, str]
"""A plan, or a slide that cannot be extracted and why."""


def plan_slide(source: SlideSource, settings: ExtractionSettings) -> SlidePlan:
    """Find the tissue of a slide and its tiles. Raises ``SlideError`` with the reason why not."""
    slide = open_slide(source.path)
    try:
        return _plan(slide, source, settings)
    finally:
        slide.close()


def plan_ahead(
    sources: Iterable[SlideSource], settings: ExtractionSettings, folder: Path, dim: int
) -> Iterator[PlanOrReason]:
    """Yield the plan of every slide in turn, while a thread plans the next ones.

    A slide whose features (``dim`` numbers per tile) do not fit into ``folder`` is refused before
    anything is computed for it.
    """

    def plan(source: SlideSource) -> PlanOrReason:
        try:
            planned = plan_slide(source, settings)
            _check_space(planned, folder, dim)
        except (SlideError, OSError) as error:
            return source, str(error)
        return planned

    left = iter(sources)
    with ThreadPoolExecutor(1) as pool:
        waiting: list[Future[PlanOrReason]] = [pool.submit(plan, s) for s in islice(left, AHEAD)]
        while waiting:
            yield waiting.pop(0).result()
            waiting += [pool.submit(plan, s) for s in islice(left, 1)]


def _plan(slide: Slide, source: SlideSource, settings: ExtractionSettings) -> SlidePlan:
    mpp = source.mpp or slide.mpp  # the user's value wins over the file's
    if mpp is None:
        raise SlideError(
            f"{source.path}: the slide has no pixel size; pass its um per pixel with "
            "--mpp-override, or in the column mpp of a table of slides."
        )
    try:
        tiling = choose_grid(slide, mpp, settings.mpp, settings.tile)
    except SlideError as error:
        raise SlideError(f"{source.path}: {error}") from None
    view = overview(slide, MASK_MPP / mpp)  # one overview for mask and picture
    coords = all_tiles(slide, tiling.step)
    mask = None
    if settings.tissue != EVERYTHING:
        mask = tissue_mask(view.image, PRESETS[settings.tissue])
        share = tissue_share(mask, view.scale, coords, tiling.step)
        # share > 0 also where min_tissue is 0: a tile without any tissue is none.
        coords = coords[(share > 0) & (share >= settings.min_tissue)]
    if not len(coords):
        raise no_tissue(source)
    size = (slide.width, slide.height)
    return SlidePlan(source, mpp, size, tiling, coords, tuple(blocks(coords, tiling)), view, mask)


def no_tissue(source: SlideSource) -> SlideError:
    """Return the error of a slide that shows background only."""
    return SlideError(
        f"{source.path}: no tissue found; inspect the slide. Try --tissue smear for pale cells, or "
        "--tissue none to take every tile that is not blank."
    )


def _check_space(plan: SlidePlan, folder: Path, dim: int) -> None:
    needed = 4 * dim * len(plan.coords) + SPARE_BYTES  # float32
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SlideError(
            f"{plan.source.path}: its features need {needed / 2**20:,.0f} MiB and {folder} has "
            f"{free / 2**20:,.0f} free; free space and rerun the same command."
        )


# Which tiles of a slide are extracted, and how they are read.

SNAP = 0.02  # 0.499 and 0.252 um per pixel are called 0.5 and 0.25; nothing is resized for that
FINEST = 0.8  # a slide this much coarser than requested may still be enlarged
BLOCK = 4  # tiles per side of what is read at once
DENSE = 0.7  # share of a block that must be wanted to read all of it
LARGEST_READ = 4096  # pixels per side of what is read at once

TileCorners = NDArray[np.int64]


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
    # 0.499 um is 0.5: no resizing for the last per cent.
    if abs(factor - nearest) <= SNAP * nearest:
        factor = nearest
    step = round(tile * factor)  # whole level-0 pixels: tiles neither overlap nor leave gaps
    if step > min(slide.width, slide.height):
        raise SlideError(
            f"it has {slide.width} x {slide.height} pixels, less than one tile of {step} ({tile} "
            f"at {mpp:g} um per pixel); use a smaller --tile or leave it out."
        )
    level = best_level(slide.downsamples, factor)
    return TileGrid(step, level, slide.downsamples[level])


def all_tiles(slide: Slide, step: int) -> TileCorners:
    """Return ``(N, 2)`` top-left corners (x, y) of all whole tiles, row after row."""
    rows, columns = slide.height // step, slide.width // step
    y, x = np.divmod(np.arange(rows * columns), columns)  # row after row
    return np.stack([x, y], axis=1) * step


def tissue_share(mask: Mask, scale: float, coords: TileCorners, step: int) -> NDArray[np.float64]:
    """Return the share of every tile that is tissue, ``(N,)``.

    ``scale`` is level-0 pixels per mask pixel.
    """
    height, width = mask.shape
    # Summed area table: the tissue of any rectangle is four look-ups.
    sums = np.zeros((height + 1, width + 1))
    sums[1:, 1:] = mask.cumsum(0, dtype=np.int64).cumsum(1)
    left, top = np.clip(np.floor(coords / scale).astype(int), 0, [width - 1, height - 1]).T
    # Rounded outwards: a tile has at least one mask pixel.
    ends = np.ceil((coords + step) / scale).astype(int)
    right, bottom = np.clip(ends, 1, [width, height]).T
    inside = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    share: NDArray[np.float64] = inside / ((right - left) * (bottom - top))
    return share


def blocks(coords: TileCorners, tiling: TileGrid) -> Iterator[TileBlock]:
    """Yield the tiles at ``coords`` in blocks, each as small as its tiles allow, row after row.

    Where tiles are sparse, the rows of a block are read by themselves.
    """
    places = coords // tiling.step
    home = places // tiling.block  # (N, 2): the block of every tile
    order = np.lexsort((home[:, 0], home[:, 1]))  # stable order: block rows, then block columns
    changes = np.flatnonzero(np.any(np.diff(home[order], axis=0), axis=1)) + 1
    for tiles in np.split(order, changes):
        whole = _block(tiles, places, tiling.step)
        # Reading a nearly full block at once is faster than tile by tile.
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
