"""Pixels of tiles, read in blocks by worker processes ahead of the encoder."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from mil_bench.base.errors import MilBenchError, SlideError
from mil_bench.extraction.plan import PlanOrReason, SlidePlan, TileBlock, TileGrid
from mil_bench.extraction.settings import SlideSource
from mil_bench.extraction.slide import Slide, open_slide

GREY = 13  # largest minus smallest channel of what has no colour
WHITE, BLACK = 210, 40
BLANK_SHARE = 0.99
LOOKED_AT = 28  # pixels per side of a tile
PREFETCH = 4  # blocks that each worker may be ahead

BlockPixels = tuple[Tensor, Tensor, Tensor]
"""An item of :class:`TileReader`."""


def stream(
    plans: Iterable[PlanOrReason],
    pixels: int,
    workers: int,
    refused: Callable[[SlideSource, str], None],
) -> Iterator[tuple[SlidePlan, Iterator[BlockPixels]]]:
    """Yield every plan with the items of its blocks (see :class:`TileReader`), in order.

    Slides without a plan are passed to ``refused`` with the reason. While one slide is encoded,
    workers read ahead, also into the next slide. Use up the items of a slide before the next slide
    is requested.
    """
    started: list[SlidePlan] = []

    def jobs() -> Iterator[BlockJob]:
        for planned in plans:
            if not isinstance(planned, SlidePlan):
                refused(*planned)
                continue
            started.append(planned)
            for block in planned.blocks:
                yield BlockJob(planned.source.path, planned.tiling, block, pixels)

    loader = DataLoader(
        TileReader(),
        # Any iterable of keys will do. The loader takes keys one by one in this process, so a plan
        # is in `started` before its first item arrives; items arrive in the order of their keys.
        sampler=cast(Any, jobs()),
        batch_size=None,
        num_workers=workers,
        prefetch_factor=PREFETCH if workers else None,
    )
    items = _explained_loss(iter(loader))
    for first in items:  # the first item of the slide
        plan = started.pop(0)
        # The others are consumed before the next plan.
        yield plan, _items_of_slide(first, items, len(plan.blocks) - 1)


def _items_of_slide(
    first: BlockPixels, items: Iterator[BlockPixels], more: int
) -> Iterator[BlockPixels]:
    yield first
    for _ in range(more):
        yield next(items)


def _explained_loss(items: Iterator[BlockPixels]) -> Iterator[BlockPixels]:
    try:
        yield from items
    except RuntimeError as error:
        # PyTorch raises a plain RuntimeError for a dead worker; only its text differs from others.
        if "exited unexpectedly" not in str(error):
            raise
        raise MilBenchError(
            f"a process that reads slides died ({str(error).splitlines()[0]}), often because "
            "memory ran out; rerun with fewer --workers. Completed slides are kept."
        ) from None


@dataclass(frozen=True)
class BlockJob:
    """A block of the slide in ``path``; its tiles are scaled to ``pixels``."""

    path: Path
    tiling: TileGrid
    block: TileBlock
    pixels: int


class TileReader(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """Reads blocks of tiles.

    Every process opens its own handle, because an open slide does not survive a fork.

    An item is ``(tiles (n, pixels, pixels, 3) uint8, rows (n), bad (m))``: rows of the bag that
    were read, and those that could not be. Blank tiles are in neither.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._slide: Slide | None = None

    def __getitem__(self, job: BlockJob) -> tuple[Tensor, Tensor, Tensor]:
        try:
            pixels, bad = self.read(job), np.empty(0, np.int64)
            rows = job.block.tiles
        except SlideError:
            # Only a block that failed is read tile by tile.
            pixels, rows, bad = self._tile_by_tile(job)
        keep = ~blank(pixels)  # most glass is found here and not by the mask
        item = (pixels[keep], rows[keep], bad)
        return tuple(torch.from_numpy(np.ascontiguousarray(part)) for part in item)  # type: ignore[return-value]

    def _tile_by_tile(self, job: BlockJob) -> tuple[NDArray[np.uint8], Any, Any]:
        """The tiles of a damaged block that can be read, and the rows of those that cannot."""
        whole = job.block
        read, rows, bad = [], [], []
        for row, place in zip(whole.tiles, whole.places, strict=True):
            x, y = (int(c + job.tiling.step * p) for c, p in zip(whole.corner, place, strict=True))
            single = TileBlock((x, y), 1, 1, np.array([row]), np.zeros((1, 2), np.int64))
            try:
                read.append(self.read(replace(job, block=single)))
                rows.append(row)
            except SlideError:
                bad.append(row)
        none = np.empty((0, job.pixels, job.pixels, 3), np.uint8)
        return (
            np.concatenate([none, *read]),
            np.array(rows, np.int64),
            np.array(bad, np.int64),
        )

    def read(self, job: BlockJob) -> NDArray[np.uint8]:
        """Return all tiles ``(n, pixels, pixels, 3)`` of a block, blank ones too.

        Raises ``SlideError`` when one of them is damaged.
        """
        slide, block = self._open(job.path), job.block
        wide, high = (round(n * job.tiling.pixels) for n in (block.columns, block.rows))
        try:
            region = slide.read(job.tiling.level, block.corner, (wide, high))
        except SlideError:
            self._close()  # after an error OpenSlide refuses every further read
            raise
        return cut(region, block, job.pixels)

    def _open(self, path: Path) -> Slide:
        if self._slide is None or self._path != path:  # OpenSlide handles are costly: one is kept
            self._close()
            self._slide, self._path = open_slide(path), path
        return self._slide

    def _close(self) -> None:
        if self._slide is not None:
            self._slide.close()
        self._slide = None


def cut(region: Image.Image, block: TileBlock, pixels: int) -> NDArray[np.uint8]:
    """Return the tiles ``(n, pixels, pixels, 3)`` of a block that ``region`` shows in any size."""
    size = (block.columns * pixels, block.rows * pixels)
    if region.width < size[0]:  # smaller than asked: coarser slides
        return _enlarged(region, block, pixels)
    if region.size != size:
        region = region.resize(size, Image.Resampling.BOX)
    # Axes: block row, y, block column, x, channel.
    grid = np.asarray(region).reshape(block.rows, pixels, block.columns, pixels, 3)
    columns, rows = block.places.T
    tiles: NDArray[np.uint8] = grid.transpose(0, 2, 1, 3, 4)[rows, columns]
    return tiles


def _enlarged(region: Image.Image, block: TileBlock, pixels: int) -> NDArray[np.uint8]:
    """Each tile by itself, or pixels of its neighbours would run into it."""
    wide, high = region.width / block.columns, region.height / block.rows
    size = (pixels, pixels)
    tiles = []
    for x, y in block.places:
        edges = (x * wide, y * high, (x + 1) * wide, (y + 1) * high)
        left, top, right, bottom = (round(edge) for edge in edges)
        alone = region.crop((left, top, right, bottom))
        tiles.append(np.asarray(alone.resize(size, Image.Resampling.BILINEAR)))
    return np.stack(tiles)


def blank(tiles: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return ``(n,)``: which tiles are glass, or the black of regions that were not scanned."""
    # Every n-th pixel is enough to see that nothing is there.
    every = max(1, tiles.shape[1] // LOOKED_AT)
    few = tiles[:, ::every, ::every]
    high, low = few.max(3), few.min(3)
    # Grey and bright is glass, grey and dark was not scanned.
    empty = (high - low < GREY) & ((low > WHITE) | (high < BLACK))
    nothing: NDArray[np.bool_] = empty.mean((1, 2)) >= BLANK_SHARE
    return nothing
