"""Packed features of a dataset: one contiguous memory-mapped array and an index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class BagStore:
    """All bags of one dataset and encoder. Reading a bag is a slice of a memory map.

    ``features``  ``(total, D)`` float16 or float32, possibly a memory map
    ``coords``    ``(total, 2)`` float64, or ``None`` when any bag lacks them
    ``rows``      slide id -> (first row, number of rows)
    ``digest``    content hash of features and index; part of every run key
    """

    encoder: str
    features: NDArray[np.floating]
    coords: NDArray[np.float64] | None
    rows: Mapping[str, tuple[int, int]]
    digest: str

    @property
    def dim(self) -> int:
        """Feature dimension ``D``."""
        return int(self.features.shape[1])

    def bag(self, slide_id: str) -> NDArray[np.floating]:
        """``(N, D)`` view of one bag."""
        start, length = self.rows[slide_id]
        return self.features[start : start + length]

    def bag_coords(self, slide_id: str) -> NDArray[np.float64] | None:
        """``(N, 2)`` view of one bag's coordinates."""
        if self.coords is None:
            return None
        start, length = self.rows[slide_id]
        return self.coords[start : start + length]
