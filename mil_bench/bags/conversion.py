"""Feature standardisation with statistics of the training bags only."""

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
        """One pass over the bags; moments are merged bag by bag in float64 (Chan et al. 1979).

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
        """The same statistics on ``device``."""
        return Standardization(self.mean.to(device), self.std.to(device))

    def __call__(self, features: Tensor) -> Tensor:
        """``(N, D)`` float32 -> new ``(N, D)``: zero mean and unit deviation on training bags.

        Subtracted first, so that a mean far from zero costs no digits; features are not written to.
        """
        return torch.sub(features, self.mean).mul_(self.std.reciprocal())


# Stored features -> what a model is given: another type, standardised if the dataset asks.

ROWS_AT_ONCE = 64  # 64 x 1024 float32 stay in a core's cache between two passes


@dataclass(frozen=True)
class Conversion:
    """To ``dtype``, after standardisation in float32 if there is one."""

    dtype: torch.dtype
    standardization: Standardization | None = None

    def changes(self, stored: torch.dtype) -> bool:
        """Whether features stored as ``stored`` cannot be used as they are."""
        return self.dtype != stored or self.standardization is not None

    def __call__(self, rows: Tensor) -> Tensor:
        """``(N, D)`` of any type -> new ``(N, D)`` of :attr:`dtype` on the same device.

        The result may be ``rows`` itself when nothing changes.
        """
        wide = rows.float() if self.standardization is None else self.standardization(rows.float())
        return wide.to(self.dtype)

    def into(self, rows: Tensor, out: Tensor) -> None:
        """Write converted ``rows`` to ``out``; both ``(N, D)`` on the host."""
        for some, part in zip(
            torch.split(rows, ROWS_AT_ONCE), torch.split(out, ROWS_AT_ONCE), strict=True
        ):
            part.copy_(self(some))

    def to(self, device: torch.device) -> Conversion:
        """The same conversion with its statistics on ``device``."""
        fitted = self.standardization
        return self if fitted is None else Conversion(self.dtype, fitted.to(device))
