"""The slide behind a heatmap, and contact sheets of its patches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from mil_bench.bags.formats.names import normalise
from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.contract.dataset import Dataset
from mil_bench.extraction.settings import find_slides
from mil_bench.extraction.slide import Overview, Slide, best_level, open_slide, overview
from mil_bench.heatmaps.patch_scores import ScoreMap
from mil_bench.heatmaps.patches import KnownPatches, Places
from mil_bench.pictures.style import BLUE, PALE, TEXT, TINY, blank, plain, titled

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
        # The coarsest level with enough pixels.
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
    name = normalise(slide_id.rpartition("/")[2])  # ids may have folders and suffixes
    if name in duplicates:
        raise DataError(f"slide {slide_id}: {duplicates[name]}")
    by_name = {source.name: source for source in sources}
    if name not in by_name:
        raise UnknownNameError("slide file", slide_id, by_name, of=str(slides))
    slide = open_slide(by_name[name].path)
    try:
        # The whole slide, 1600 pixels at most.
        whole = overview(slide, max(slide.width, slide.height) / LONGEST)
        yield Backdrop(slide, whole, by_name[name].mpp or slide.mpp)
    finally:
        slide.close()


# The patches with the highest and the lowest scores, as pictures.

PatchPicture = Callable[[int], ArrayLike]
"""Row of the bag -> the picture of that patch: RGB, or grey from 0 to 1."""

SHOWN, PER_LINE = 16, 8


def pixels_of(
    dataset: Dataset, slide_id: str, backdrop: Backdrop | None, places: Places
) -> PatchPicture | None:
    """Return the source of patch pictures: the slide, or features that are pictures themselves.

    ``None`` when there are neither; ``places`` are in pixels of ``backdrop``.
    """
    if backdrop is not None:
        slide = backdrop
        # Read when shown.
        return lambda row: np.asarray(slide.tile(places.corners[row], places.side))
    if dataset.picture_shape is None:
        return None
    pictures = dataset.store.bag(slide_id).reshape(-1, *dataset.picture_shape)
    return lambda row: pictures[row]


def contact_sheet(
    score_map: ScoreMap,
    pixels: PatchPicture,
    title: str,
    marks: Sequence[str] | None = None,
    witnesses: KnownPatches | None = None,
) -> Figure:
    """Return two blocks of at most 16 patches: the highest scores first, then the lowest.

    Every patch has its percentile rank above it and its known class below; witnesses of the class
    are framed in blue. A bag of fewer patches shows none of them twice.
    """
    order = np.argsort(-score_map.values, kind="stable").tolist()
    most = min(SHOWN, -(-len(order) // 2))  # half of a small bag for each block
    blocks = {"highest": order[:most], "lowest": order[most:][-most:][::-1]}  # lowest first
    lines = [-(-len(rows) // PER_LINE) for rows in blocks.values()]
    high = 0.95 if marks is None else 1.15
    figure = blank(0.95 * PER_LINE + 0.4, high * sum(lines) + 1.2)
    axes = figure.subplots(sum(lines), PER_LINE, squeeze=False)
    for axis in axes.flat:
        axis.set_axis_off()
    start = 0
    for (word, rows), count in zip(blocks.items(), lines, strict=True):
        for axis, row in zip(axes[start : start + count].flat, rows, strict=False):
            _show(axis, pixels(row), f"{score_map.ranks[row]:.1%}", marks[row] if marks else "")
            if witnesses is not None and witnesses.mask[row]:
                for spine in axis.spines.values():
                    spine.set(color=BLUE, linewidth=2.5)
        if rows:
            axes[start, 0].annotate(
                word, (0, 0.5), xycoords="axes fraction", xytext=(-5, 0), rotation=90, ha="right",
                textcoords="offset points", va="center", fontsize=TEXT, fontweight="bold",
            )  # fmt: skip
        start += count
    note = f"{title}\nPercentile rank of each patch within the slide ({score_map.source})."
    return titled(figure, score_map.title, note)


def _show(axis: Axes, picture: ArrayLike, rank: str, mark: str) -> None:
    axis.set_axis_on()
    axis.imshow(picture, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axis.set(xticks=[], yticks=[])
    axis.set_title(rank, fontsize=TINY, pad=2)
    if mark:
        axis.set_xlabel(plain(mark), fontsize=TINY, labelpad=2)
    for spine in axis.spines.values():
        spine.set_color(PALE)
