"""Instances in the order of their coordinates, for methods whose result depends on the order.

The grid of such a method is its sequence folded row by row into a square. In the order of a feature
file the square has little relation to the slide. In the order of coordinates most neighbours in
the square are neighbours on the slide.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt
from typing import Literal

import torch
from torch import Tensor

from mil_bench.base.errors import FeatureError
from mil_bench.contract.batch import BagBatch

Order = Literal["file", "coords"]


@dataclass(frozen=True)
class Ordered:
    """``batch`` with its instances in another order; ``rows`` are their rows in the original."""

    batch: BagBatch
    rows: Tensor | None = None

    @classmethod
    def of(cls, batch: BagBatch, order: Order, multiple: int = 1) -> Ordered:
        """Return the instances of every bag in ``order``; ``multiple`` as in :func:`grid_order`.

        Raises ``FeatureError`` for ``coords`` if the features have none.
        """
        if order == "file":
            return cls(batch)
        rows = grid_order(needed_coords(batch, "order=coords", "use order=file"), batch, multiple)
        return cls(batch.take(rows, batch.sizes), rows)

    def restored(self, values: Tensor) -> Tensor:
        """Return ``(sum N, K)`` values of the ordered instances in the order of the file."""
        return values if self.rows is None else values[self.rows.argsort()]


def needed_coords(batch: BagBatch, who: str, advice: str) -> Tensor:
    """Return ``(sum N, 2)``; raises ``FeatureError`` if the features have no coordinates."""
    if batch.coords is None:
        raise FeatureError(
            f"{who} requires coordinates of patches, but these features have none (coordinates are "
            f"used only if every bag has them); extract features with coordinates, or {advice}."
        )
    return batch.coords


def grid_order(coords: Tensor, batch: BagBatch, multiple: int = 1) -> Tensor:
    """Return ``(sum N,)``: packed rows of every bag as they fill a square of side ``S``, row by
    row.

    ``S`` is ``ceil(sqrt(N))``, raised to a multiple of ``multiple``. The topmost ``S`` instances
    are the first row of the square, from left to right, the next ``S`` the second, and so on. A
    full square of patches is unchanged. Equal coordinates stay in the order of the file.
    """
    x, y = coords.unbind(1)
    rows = torch.arange(len(coords), device=coords.device)
    # ceil(sqrt(n)), rounded up to a multiple.
    sides = [-(-(isqrt(n - 1) + 1) // multiple) * multiple for n in batch.sizes]
    side = torch.tensor(sides, device=coords.device)[batch.segment]
    # Stable sorts from the least significant key on: by bag, then y, then x.
    for key in (x, y, batch.segment):  # the last key is the first to count
        rows = rows[key[rows].argsort(stable=True)]
    band = torch.empty_like(rows)  # (sum N,): the row of the square
    band[rows] = (
        torch.arange(len(rows), device=rows.device) - batch.offsets[batch.segment]
    ) // side  # position within the bag
    for key in (y, x, band, batch.segment):  # by bag, band, x, then y
        rows = rows[key[rows].argsort(stable=True)]
    return rows
