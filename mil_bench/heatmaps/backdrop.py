"""The slide behind a heatmap, if its file is available."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mil_bench.bags.formats.names import normalise
from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.extraction.slide import Overview, Slide, best_level, open_slide, overview
from mil_bench.extraction.sources import find_slides

LONGEST = 1600  # side of the overview, in pixels
TILE = 96  # side of a tile on a contact sheet, in pixels


@dataclass(frozen=True)
class Backdrop:
    """An open slide and its ``overview``; ``mpp`` um per level-0 pixel where it is known."""

    slide: Slide
    overview: Overview
    mpp: float | None

    def tile(self, corner: NDArray[np.float64], side: float) -> Image.Image:
        """Read the square at ``corner`` (x, y) of ``side`` (level-0 pixels), 96 pixels wide."""
        level = best_level(self.slide.downsamples, max(1.0, side / TILE))
        pixels = max(1, round(side / self.slide.downsamples[level]))
        x, y = corner.round().astype(int).tolist()
        return self.slide.read(level, (x, y), (pixels, pixels)).resize((TILE, TILE))


@contextmanager
def backdrop_of(slide_id: str, slides: Path) -> Iterator[Backdrop]:
    """Open the slide ``slide_id`` among the files of ``slides`` (a folder, table or file).

    Raises ``UnknownNameError`` when no file has that name, ``DataError`` when several have it, and
    ``SlideError`` when the file is damaged.
    """
    sources, duplicates = find_slides(slides)
    name = normalise(slide_id.rpartition("/")[2])
    if name in duplicates:
        raise DataError(f"slide {slide_id}: {duplicates[name]}")
    by_name = {source.name: source for source in sources}
    if name not in by_name:
        raise UnknownNameError("slide file", slide_id, by_name, of=str(slides))
    slide = open_slide(by_name[name].path)
    try:
        whole = overview(slide, max(slide.width, slide.height) / LONGEST)
        yield Backdrop(slide, whole, by_name[name].mpp or slide.mpp)
    finally:
        slide.close()
