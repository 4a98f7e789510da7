"""Conversion of stored features for a model: standardised if the dataset says so, and typed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mil_bench.contract.store import BagStore


@dataclass(frozen=True)
class Standardization:
    """``mean`` and ``std`` ``(D,)`` float32 over all instances of the training bags."""

    mean: Tensor
    std: Tensor

    @classmethod
    def fit(cls, store: BagStore, slide_ids: Sequence[str]) -> Standardization:
        """Compute the statistics in one pass; moments are merged in float64 (Chan et al. 1979).

        A feature that never varies keeps the scale 1.
        """
        count, mean, scatter = 0, np.zeros(store.dim), np.zeros(store.dim)
        for slide_id in slide_ids:
            bag = store.bag(slide_id).astype(np.float64)
            centre = bag.mean(0)
            shift, total = centre - mean, count + len(bag)
            scatter += ((bag - centre) ** 2).sum(0) + shift**2 * (count * len(bag) / total)
            mean += shift * (len(bag) / total)
            count = total
        std = np.sqrt(scatter / count)
        std[std == 0] = 1
        return cls(torch.from_numpy(mean).float(), torch.from_numpy(std).float())

    def to(self, device: torch.device) -> Standardization:
        """Return the same statistics on ``device``."""
        return Standardization(self.mean.to(device), self.std.to(device))

    def __call__(self, features: Tensor) -> Tensor:
        """Scale ``(N, D)`` float32 to zero mean and unit deviation on the training bags."""
        # Subtracted first, so that a mean far from zero loses no digits. The first operation makes
        # a new tensor, because features may be a view of the packed file.
        return torch.sub(features, self.mean).mul_(self.std.reciprocal())


ROWS_AT_ONCE = 64  # 64 x 1024 float32 stay in a core's cache between two passes


@dataclass(frozen=True)
class Conversion:
    """Conversion to ``dtype``, after standardisation in float32 if there is one."""

    dtype: torch.dtype
    standardization: Standardization | None = None

    def changes(self, stored: torch.dtype) -> bool:
        """Return whether features of type ``stored`` must be converted."""
        return self.dtype != stored or self.standardization is not None

    def __call__(self, rows: Tensor) -> Tensor:
        """Convert ``(N, D)`` of any type to :attr:`dtype` on the same device.

        The result is ``rows`` itself when nothing changes.
        """
        wide = rows.float() if self.standardization is None else self.standardization(rows.float())
        return wide.to(self.dtype)

    def into(self, rows: Tensor, out: Tensor) -> None:
        """Write converted ``rows`` to ``out``; both ``(N, D)`` on the host."""
        # In slices that stay in the cache: in one go, every step would read and write main memory.
        slices = torch.split(rows, ROWS_AT_ONCE), torch.split(out, ROWS_AT_ONCE)
        for source, target in zip(*slices, strict=True):
            target.copy_(self(source))

    def to(self, device: torch.device) -> Conversion:
        """Return the same conversion with its statistics on ``device``."""
        fitted = self.standardization
        return self if fitted is None else Conversion(self.dtype, fitted.to(device))
