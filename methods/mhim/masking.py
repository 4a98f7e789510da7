"""Which instances of a bag the student of MHIM sees (Tang et al., ICCV 2023, section 3.2)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor


@dataclass(frozen=True)
class Masking:
    """Shares of a bag that are masked; whatever they are, one instance is left.

    ``high``    of the bag, drawn from the most attended ``high / pool``: the easy instances
    ``pool``    the share of those candidates that is masked
    ``low``     of the bag: the least attended
    ``random``  of what is left
    """

    high: float
    pool: float
    low: float
    random: float

    def counts(self, n: int) -> tuple[int, int, int]:
        """Numbers of instances masked as high, low and random in a bag of ``n``."""
        high = min(ceil(n * self.high), n - 1)
        low = min(ceil(n * self.low), n - 1 - high)
        left = n - high - low
        return high, low, min(ceil(left * self.random), left - 1)

    def kept(self, attention: Tensor) -> Tensor:
        """Rows that are left of a bag with attention ``(N,)``, in their order.

        How many is known from N alone: see :meth:`n_kept`.
        """
        n = len(attention)
        high, low, random = self.counts(n)
        ranked = attention.argsort(descending=True, stable=True)
        candidates = min(ceil(high / self.pool), n - low)
        easy = _shuffled(ranked[:candidates])
        left = _shuffled(torch.cat([easy[high:], ranked[candidates : n - low]]))
        return left[: len(left) - random].sort().values

    def n_kept(self, n: int) -> int:
        """How many instances are left of a bag of ``n``."""
        return n - sum(self.counts(n))


def _shuffled(rows: Tensor) -> Tensor:
    return rows[torch.randperm(len(rows), device=rows.device)]
