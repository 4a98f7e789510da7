"""One bag of patch features as a reader returns it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tiling:
    """How the coordinates of a bag are meant.

    ``unit`` is ``level0_px`` or ``um``, ``anchor`` ``top_left`` or ``center``; ``patch_size`` is
    the side of a patch in ``unit``, ``None`` where nobody says.
    """

    unit: str = "level0_px"
    anchor: str = "top_left"
    patch_size: float | None = None


@dataclass(frozen=True)
class Bag:
    """Patch features of one slide.

    ``features`` is ``(N, D)`` float16 or float32. ``coords`` is ``(N, 2)`` as ``(x, y)`` in
    ``unit`` at the tile's ``anchor``, or ``None``. ``patch_size`` is in the same unit.
    """

    features: NDArray[np.floating]
    coords: NDArray[np.floating] | NDArray[np.integer] | None = None
    unit: str = "level0_px"  # or "um"
    anchor: str = "top_left"  # or "center"
    patch_size: float | None = None
    encoder: str | None = None
    writer: str = "unknown"

    def __len__(self) -> int:
        return len(self.features)

    @property
    def dim(self) -> int:
        """Feature dimension ``D``."""
        return int(self.features.shape[1])
