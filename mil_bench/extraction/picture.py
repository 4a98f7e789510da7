"""A quick check by eye: the slide with the contour of its tissue and its tiles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from mil_bench.atomic import replacing
from mil_bench.extraction.bag_file import Extracted
from mil_bench.extraction.tissue import Mask

SIDE = 1600  # pixels of the longer side, at most and, unless that blurs too much, at least
ENLARGED = 6  # times, at most
CONTOUR, TILE, BAD = (0, 160, 60), (30, 80, 220), (230, 0, 0)


def draw_check(path: Path, found: Extracted) -> None:
    """Write a JPEG: tissue contour green, tiles blue, tiles that could not be read red."""
    view = found.plan.overview
    zoom = min(ENLARGED, SIDE / max(view.image.size))
    size = tuple(max(1, round(side * zoom)) for side in view.image.size)
    picture = view.image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    if found.plan.mask is not None:
        picture.paste(CONTOUR, mask=_contour(found.plan.mask, picture.size))
    draw = ImageDraw.Draw(picture)
    step, scale = found.plan.tiling.step, zoom / view.scale
    for corners, colour, width in ((found.coords, TILE, 1), (found.bad, BAD, 2)):
        for x, y in corners:
            box = (x * scale, y * scale, (x + step) * scale, (y + step) * scale)
            draw.rectangle(box, outline=colour, width=width)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        picture.save(temporary, quality=88)


def _contour(mask: Mask, size: tuple[int, int]) -> Image.Image:
    large = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    edge = large & ~ndimage.binary_erosion(large, iterations=2, border_value=1)
    return Image.fromarray(edge)
