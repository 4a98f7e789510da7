"""Write slides: pyramidal, tiled TIFF with a pixel size, of glass and of two kinds of tissue."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

GLASS = (243, 242, 244)
TISSUES = {"pink": (225, 130, 180), "purple": (120, 60, 150)}


def glass(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(-2, 3, (height, width, 1))
    return (np.array(GLASS) + noise).astype(np.uint8)


def paint(
    image: np.ndarray, kind: str, box: tuple[int, int, int, int], seed: int = 0
) -> np.ndarray:
    """Fill ``box`` (left, top, right, bottom) with textured tissue, in place."""
    left, top, right, bottom = box
    shape = (bottom - top, right - left, 3)
    noise = np.random.default_rng(seed).normal(0, 12, shape)
    if kind == "purple":  # nuclei: dark dots of five pixels
        noise -= (
            50
            * np.kron(
                np.random.default_rng(seed).random((shape[0] // 5 + 1, shape[1] // 5 + 1, 1)) < 0.3,
                np.ones((5, 5, 1)),
            )[: shape[0], : shape[1]]
        )
    image[top:bottom, left:right] = np.clip(np.array(TISSUES[kind]) + noise, 0, 255)
    return image


def halved(image: np.ndarray) -> np.ndarray:
    """Means of two by two pixels."""
    height, width = (side // 2 * 2 for side in image.shape[:2])
    four = image[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return four.mean((1, 3)).round().astype(np.uint8)


def write_slide(
    path: Path, image: np.ndarray, mpp: float | None = 0.5, levels: int = 2, tiled: bool = True
) -> Path:
    """A TIFF that OpenSlide opens; strips instead of tiles (``tiled=False``) it refuses."""
    path.parent.mkdir(parents=True, exist_ok=True)
    known = {"resolution": (1e4 / mpp, 1e4 / mpp), "resolutionunit": "CENTIMETER"} if mpp else {}
    layout = {"tile": (128, 128)} if tiled else {"rowsperstrip": 64}
    options = {"photometric": "rgb", "compression": "zlib", "metadata": None, **layout}
    with tifffile.TiffWriter(path) as file:
        for level in range(levels):
            scaled = {k: tuple(r / 2**level for r in v) if k == "resolution" else v
                      for k, v in known.items()}  # fmt: skip
            file.write(image, subfiletype=int(level > 0), **options, **scaled)
            image = halved(image)
    return path
