"""What will be read of a slide: its tissue and its tiles."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from mil_bench.base.errors import SlideError
from mil_bench.extraction.settings import ExtractionSettings
from mil_bench.extraction.slide import Overview, Slide, open_slide, overview
from mil_bench.extraction.sources import SlideSource
from mil_bench.extraction.tile_grid import (
    Coords,
    TileBlock,
    TileGrid,
    all_tiles,
    blocks,
    choose_grid,
    tissue_share,
)
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
    coords: Coords
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
    mpp = source.mpp or slide.mpp
    if mpp is None:
        raise SlideError(
            f"{source.path}: the slide has no pixel size; pass its um per pixel with "
            "--mpp-override, or in the column mpp of a table of slides."
        )
    try:
        tiling = choose_grid(slide, mpp, settings.mpp, settings.tile)
    except SlideError as error:
        raise SlideError(f"{source.path}: {error}") from None
    view = overview(slide, MASK_MPP / mpp)
    coords = all_tiles(slide, tiling.step)
    mask = None
    if settings.tissue != EVERYTHING:
        mask = tissue_mask(view.image, PRESETS[settings.tissue])
        share = tissue_share(mask, view.scale, coords, tiling.step)
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
    needed = 4 * dim * len(plan.coords) + SPARE_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SlideError(
            f"{plan.source.path}: its features need {needed / 2**20:,.0f} MiB and {folder} has "
            f"{free / 2**20:,.0f} free; free space and rerun the same command."
        )
