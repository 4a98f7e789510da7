"""The feature file of one slide: TRIDENT's names and attributes, but contiguous."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

from mil_bench.bags.formats.scale import NOMINAL_MPP
from mil_bench.base.atomic import replacing
from mil_bench.extraction.plan import SlidePlan, TileCorners
from mil_bench.extraction.settings import ExtractionSettings
from mil_bench.extraction.tissue import Mask

RECORD = "mil_bench_extraction"  # root attribute: the settings as JSON
UNREADABLE, BLANK = "unreadable_tiles", "blank_tiles"
ENOUGH_DIGITS = 4


@dataclass(frozen=True)
class SlideFeatures:
    """Features ``(N, D)`` float32 of the tiles at ``coords`` ``(N, 2)``, row after row.

    ``bad`` ``(M, 2)`` are corners of tiles that could not be read; ``blank`` tiles were left out.
    """

    plan: SlidePlan
    features: NDArray[np.float32]
    coords: TileCorners
    bad: TileCorners
    blank: int


def write_bag(path: Path, extracted: SlideFeatures, settings: ExtractionSettings) -> None:
    """Write the file in one atomic step, so that a file that exists is complete."""
    plan = extracted.plan
    where = {"name": plan.source.name, "savetodir": str(path.parent)}
    # Written beside and renamed when closed.
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        # The mark of our files, read before a rerun.
        file.attrs[RECORD] = json.dumps(settings.record(plan.source))
        file.attrs.update({UNREADABLE: len(extracted.bad), BLANK: extracted.blank})
        features = file.create_dataset("features", data=extracted.features)
        features.attrs.update(
            {**where, "encoder": settings.encoder, "encoder_weights": settings.weights}
        )
        coords = file.create_dataset("coords", data=extracted.coords)
        coords.attrs.update({**where, **_geometry(plan, settings)})


@dataclass(frozen=True)
class FeatureFileRecord:
    """Settings (JSON) and counts of tiles of a complete feature file."""

    settings: str
    tiles: int
    blank: int
    bad: int


def read_record(path: Path) -> FeatureFileRecord:
    """Read the record. Raises ``OSError`` or ``KeyError`` for a damaged or foreign file."""
    with h5py.File(path, "r") as file:
        attrs = file.attrs
        counts = (len(file["features"]), int(attrs[BLANK]), int(attrs[UNREADABLE]))
        return FeatureFileRecord(str(attrs[RECORD]), *counts)


def _geometry(plan: SlidePlan, settings: ExtractionSettings) -> Mapping[str, Any]:
    step, tile = plan.tiling.step, settings.tile
    return {
        "patch_size": tile,
        "patch_size_level0": step,
        "level0_magnification": round(NOMINAL_MPP / plan.mpp, ENOUGH_DIGITS),
        "target_magnification": settings.magnification,
        "overlap": 0,
        "level0_width": plan.size[0],
        "level0_height": plan.size[1],
        "level0_mpp": plan.mpp,
        "mpp": plan.mpp * step / tile,  # of a pixel of the tile
    }


# The picture to check by eye: the slide with the contour of its tissue and its tiles.

SIDE = 1600  # pixels of the longer side, at most and, unless that blurs too much, at least
ENLARGED = 6  # times, at most
CONTOUR, TILE, BAD = (0, 160, 60), (30, 80, 220), (230, 0, 0)


def draw_check(path: Path, extracted: SlideFeatures) -> None:
    """Write a JPEG: tissue contour green, tiles blue, tiles that could not be read red."""
    view = extracted.plan.overview
    # Smears are small: enlarged, but not until they blur.
    zoom = min(ENLARGED, SIDE / max(view.image.size))
    size = tuple(max(1, round(side * zoom)) for side in view.image.size)
    picture = view.image.resize((size[0], size[1]), Image.Resampling.BILINEAR)
    if extracted.plan.mask is not None:
        picture.paste(CONTOUR, mask=_contour(extracted.plan.mask, picture.size))
    draw = ImageDraw.Draw(picture)
    step, scale = extracted.plan.tiling.step, zoom / view.scale
    for corners, colour, width in ((extracted.coords, TILE, 1), (extracted.bad, BAD, 2)):
        for x, y in corners:
            box = (x * scale, y * scale, (x + step) * scale, (y + step) * scale)
            draw.rectangle(box, outline=colour, width=width)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        picture.save(temporary, quality=88)


def _contour(mask: Mask, size: tuple[int, int]) -> Image.Image:
    # NEAREST: a mask has no values between.
    large = np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
    edge = large & ~ndimage.binary_erosion(large, iterations=2, border_value=1)
    return Image.fromarray(edge)
