"""Feature standardisation with statistics of the training bags only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from mil_bench.bags.store import BagStore


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
