"""A whole slide at low resolution, read in pieces so that slides without levels fit in memory."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from mil_bench.extraction.slide import Slide

PIECE = 4096  # pixels of the level that is read, per side


@dataclass(frozen=True)
class Overview:
    """``image`` shows the slide; one of its pixels is ``scale`` level-0 pixels wide."""

    image: Image.Image
    scale: float


def overview(slide: Slide, scale: float) -> Overview:
    """The slide with ``scale`` level-0 pixels per pixel, or its own pixels where it is smaller."""
    scale = max(1.0, min(scale, slide.width, slide.height))
    level = best_level(slide.downsamples, scale)
    downsample = slide.downsamples[level]
    canvas = Image.new("RGB", (round(slide.width / scale), round(slide.height / scale)), "white")
    side = max(1, int(PIECE * downsample / scale))  # of a piece, in pixels of the overview
    for top in range(0, canvas.height, side):
        for left in range(0, canvas.width, side):
            width, height = min(side, canvas.width - left), min(side, canvas.height - top)
            size = (
                max(1, round(width * scale / downsample)),
                max(1, round(height * scale / downsample)),
            )
            piece = slide.read(level, (round(left * scale), round(top * scale)), size)
            canvas.paste(piece.resize((width, height), Image.Resampling.BOX), (left, top))
    return Overview(canvas, scale)


def best_level(downsamples: tuple[float, ...], factor: float) -> int:
    """The coarsest level that still has every detail at ``factor`` level-0 pixels per pixel."""
    fine_enough = [i for i, downsample in enumerate(downsamples) if downsample <= factor * 1.01]
    return max(fine_enough, key=lambda i: downsamples[i], default=0)
