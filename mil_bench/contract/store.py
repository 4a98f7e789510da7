"""Bags of patch features: one as a reader returns it, and all those of a dataset.

Where the arrays come from (a packed cache, memory) is the concern of :mod:`mil_bench.bags`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tiling:
    """Meaning of the coordinates of a bag.

    ``unit`` is ``level0_px`` or ``um``, ``anchor`` ``top_left`` or ``center``; ``patch_size`` is
    the side of a patch in ``unit``, ``None`` if unknown.
    """

    unit: str = "level0_px"
    anchor: str = "top_left"
    patch_size: float | None = None


@dataclass(frozen=True)
class Bag:
    """Patch features of one slide, or its embedding as a bag of one.

    ``features`` is ``(N, D)`` float16 or float32. ``coords`` is ``(N, 2)`` as ``(x, y)`` in
    ``unit`` at the patch's ``anchor``, or ``None``. ``patch_size`` is in the same unit.
    ``whole_slide`` says that the one row is the embedding of a slide, by a slide encoder.
    """

    features: NDArray[np.floating]
    coords: NDArray[np.floating] | NDArray[np.integer] | None = None
    unit: str = "level0_px"  # or "um"
    anchor: str = "top_left"  # or "center"
    patch_size: float | None = None
    encoder: str | None = None
    writer: str = "unknown"
    whole_slide: bool = False

    def __len__(self) -> int:
        return len(self.features)

    @property
    def dim(self) -> int:
        """Feature dimension ``D``."""
        return int(self.features.shape[1])


@dataclass(frozen=True)
class BagStore:
    """All bags of one dataset and encoder. Reading a bag is a slice of an array.

    ``features``  ``(total, D)`` float16 or float32, possibly a memory map; behind a large bag there
                  are zero rows (:func:`mil_bench.contract.batch.stored_rows`)
    ``coords``    ``(total, 2)`` float64, or ``None`` when any bag lacks them
    ``rows``      slide id -> (first row, number of rows)
    ``digest``    content hash of features, coordinates and slide ids; part of every run key
    ``tilings``   slide id -> unit, anchor and patch size of its coordinates; in no digest
    ``files``     slide id -> the file that its features were read from, if any; in no digest
    """

    encoder: str
    features: NDArray[np.floating]
    coords: NDArray[np.float64] | None
    rows: Mapping[str, tuple[int, int]]
    digest: str
    tilings: Mapping[str, Tiling] = field(default_factory=dict)
    files: Mapping[str, Path] = field(default_factory=dict)

    @property
    def dim(self) -> int:
        """Feature dimension ``D``."""
        return int(self.features.shape[1])

    @property
    def instances(self) -> int:
        """Number of instances of all bags."""
        return sum(length for _, length in self.rows.values())

    def bag(self, slide_id: str) -> NDArray[np.floating]:
        """Return the ``(N, D)`` features of one bag as a view."""
        start, length = self.rows[slide_id]
        return self.features[start : start + length]

    def bag_coords(self, slide_id: str) -> NDArray[np.float64] | None:
        """Return the ``(N, 2)`` coordinates of one bag as a view, if the store has any."""
        if self.coords is None:
            return None
        start, length = self.rows[slide_id]
        return self.coords[start : start + length]

    def tiling(self, slide_id: str) -> Tiling:
        """Return the meaning of one bag's coordinates; level-0 pixels at top left by default."""
        return self.tilings.get(slide_id, Tiling())
