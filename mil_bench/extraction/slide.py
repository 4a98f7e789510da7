"""A slide that is open for reading: through OpenSlide, or a plain image held in memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from mil_bench.base.errors import MilBenchError, SlideError

PLAIN = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp")
SENSIBLE_MPP = (0.05, 20.0)  # 72 dpi in a TIFF header is 353 um per pixel and means nothing
MOST_PIXELS = 2**29  # of a plain image, which is held in memory


class Slide(ABC):
    """Pixels of one slide.

    ``width`` and ``height`` are in level-0 pixels, ``downsamples`` has one factor per level.
    ``mpp`` is um per level-0 pixel, ``None`` if the file has no plausible value.
    """

    width: int
    height: int
    downsamples: tuple[float, ...]
    mpp: float | None

    @abstractmethod
    def read(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
        """Return RGB pixels from ``corner``, ``size`` in pixels of ``level``.

        ``corner`` is (x, y) in level-0 pixels.

        Pixels outside of the slide are white. Raises ``SlideError`` for damaged pixels; reopen
        the slide after it.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the file back."""


def open_slide(path: Path) -> Slide:
    """Return the slide in ``path``; images that OpenSlide does not support are read as a whole.

    Raises ``SlideError`` with the reason when the file is not a slide or is damaged.
    """
    if not path.is_file():
        raise SlideError(f"{path}: there is no such file; check the path.")
    if path.stat().st_size == 0:
        raise SlideError(f"{path}: the file is empty (0 bytes); copy the slide again.")
    openslide = _openslide()
    try:
        return _Pyramid(openslide.OpenSlide(path), path)
    except openslide.OpenSlideUnsupportedFormatError:
        if path.suffix.lower() in PLAIN:
            return _Plain(path)
        raise SlideError(
            f"{path}: not a slide that OpenSlide can read; convert it to a pyramidal TIFF."
        ) from None
    except openslide.OpenSlideError as error:
        raise _damaged(path, error) from None


class _Pyramid(Slide):
    """A slide of OpenSlide."""

    def __init__(self, handle: Any, path: Path) -> None:
        self._handle, self._path = handle, path
        self.width, self.height = handle.dimensions
        self.downsamples = tuple(handle.level_downsamples)
        self.mpp = _mpp(handle.properties)

    def read(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
        try:
            pixels: Image.Image = self._handle.read_region(corner, level, size)
        except _openslide().OpenSlideError as error:
            raise _damaged(self._path, error) from None
        return _on_white(pixels)

    def close(self) -> None:
        self._handle.close()


class _Plain(Slide):
    """A TIFF, PNG or JPEG without levels."""

    mpp = None

    def __init__(self, path: Path) -> None:
        Image.MAX_IMAGE_PIXELS = MOST_PIXELS  # Pillow refuses large images by default
        try:
            with Image.open(path) as image:
                deep = image.mode.startswith(("I", "F"))  # 16-bit and float images would be clipped
                self._image = _on_white(image)
        except Exception as error:  # a damaged file makes Pillow raise anything
            raise _damaged(path, error) from None
        if deep:
            raise SlideError(
                f"{path}: its pixels have more than 8 bits, which would be lost; convert it to 8 "
                "bits per channel."
            )
        self.width, self.height = self._image.size
        self.downsamples = (1.0,)

    def read(self, level: int, corner: tuple[int, int], size: tuple[int, int]) -> Image.Image:
        (x, y), (width, height) = corner, size
        region = self._image.crop((x, y, x + width, y + height))
        inside = (self.width - x, self.height - y)
        if inside[0] >= width and inside[1] >= height:
            return region
        white = Image.new("RGB", size, "white")
        white.paste(region.crop((0, 0, min(width, inside[0]), min(height, inside[1]))))
        return white

    def close(self) -> None:
        self._image.close()


def _openslide() -> Any:
    try:
        import openslide
    except ImportError as error:
        raise MilBenchError(
            f"reading slides requires OpenSlide, which cannot be imported ({error}); install it: "
            "pip install 'mil-bench[slides]'."
        ) from None
    return openslide


def _on_white(pixels: Image.Image) -> Image.Image:
    # Regions that were not scanned are transparent; black would look like tissue.
    if "A" not in pixels.getbands() and "transparency" not in pixels.info:
        return pixels.convert("RGB")
    pixels = pixels if pixels.mode == "RGBA" else pixels.convert("RGBA")
    opacity = pixels.getchannel("A")
    if opacity.getextrema()[0] == 255:  # opaque everywhere: nothing to blend
        return pixels.convert("RGB")
    white = Image.new("RGB", pixels.size, "white")
    white.paste(pixels, mask=opacity)
    return white


def _mpp(properties: Any) -> float | None:
    """The mean of both directions; ``None`` for what is missing or cannot be a slide's."""
    try:
        sides = [float(properties[f"openslide.mpp-{side}"]) for side in "xy"]
    except (KeyError, ValueError):
        return None
    mean = sum(sides) / 2  # pixels are square to within the scanner's precision
    return mean if SENSIBLE_MPP[0] <= mean <= SENSIBLE_MPP[1] else None


def _damaged(path: Path, error: Exception) -> SlideError:
    reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
    return SlideError(f"{path}: truncated, damaged or not an image ({reason}); copy it again.")


# A whole slide at low resolution, read in pieces so that slides without levels fit in memory.

PIECE = 4096  # pixels of the level that is read, per side


@dataclass(frozen=True)
class Overview:
    """``image`` shows the slide; one of its pixels is ``scale`` level-0 pixels wide."""

    image: Image.Image
    scale: float


def overview(slide: Slide, scale: float) -> Overview:
    """Return the slide with ``scale`` level-0 pixels per pixel; a smaller slide unchanged."""
    scale = max(1.0, min(scale, slide.width, slide.height))  # never larger than the slide
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
            # BOX: the mean of the pixels that it covers.
            canvas.paste(piece.resize((width, height), Image.Resampling.BOX), (left, top))
    return Overview(canvas, scale)


def best_level(downsamples: tuple[float, ...], factor: float) -> int:
    """Return the coarsest level that has every detail at ``factor`` level-0 pixels per pixel."""
    # 1 %: factors of pyramids are rounded.
    fine_enough = [i for i, downsample in enumerate(downsamples) if downsample <= factor * 1.01]
    return max(fine_enough, key=lambda i: downsamples[i], default=0)
