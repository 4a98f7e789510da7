"""The scale of patches, as feature files record it: what a trained model must find again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py

from mil_bench.bags.formats.h5 import number

NOMINAL_MPP: Final = 10.0  # divided by the magnification: 0.5 um per pixel is called 20x
TOLERANCE: Final = 0.1  # relative; slides called 20x have 0.46 to 0.54 um per pixel


@dataclass(frozen=True)
class PatchScale:
    """``mpp`` um per pixel and ``pixels`` per side of the patches an encoder saw; ``None`` unknown.

    Sizes in level-0 pixels are not comparable: they depend on the scanner.
    """

    mpp: float | None = None
    pixels: float | None = None

    def __bool__(self) -> bool:
        return self.mpp is not None or self.pixels is not None

    def __str__(self) -> str:
        mpp = "" if self.mpp is None else f"{self.mpp:.3g} um per pixel"
        pixels = "" if self.pixels is None else f"{self.pixels:g} pixels per side"
        return " and ".join(filter(None, [pixels, mpp])) or "an unknown scale"

    def fits(self, other: PatchScale) -> bool:
        """Return whether the two agree within a tenth in everything that both know."""
        pairs = ((self.mpp, other.mpp), (self.pixels, other.pixels))
        known = [(a, b) for a, b in pairs if a is not None and b is not None]
        return all(abs(a - b) <= TOLERANCE * max(a, b) for a, b in known)


def read_scale(path: Path) -> PatchScale:
    """Return the scale that a feature file records: TRIDENT, mil-bench and STAMP do.

    Unknown for other files and for those that cannot be read.
    """
    if path.suffix.lower() not in (".h5", ".hdf5"):
        return PatchScale()
    try:
        with h5py.File(path, "r") as file:
            coords = file.get("coords")
            return _scale(dict(file.attrs), dict(coords.attrs) if coords is not None else {})
    except (OSError, RuntimeError):
        return PatchScale()  # reading the bag will say what is wrong with it


def _scale(root: dict[str, Any], coords: dict[str, Any]) -> PatchScale:
    um, pixels = number(root.get("tile_size_um")), number(root.get("tile_size_px"))
    if um is not None and pixels:
        return PatchScale(um / pixels, pixels)
    magnification = number(coords.get("target_magnification"))
    if magnification:
        return PatchScale(NOMINAL_MPP / magnification, number(coords.get("patch_size")))
    return PatchScale()
