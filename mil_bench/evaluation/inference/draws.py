"""One score of one method with its replicates, and what follows from replicates alone."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_TIE = 1e-9


@dataclass(frozen=True)
class Replicated:
    """A score, or a difference of scores: its ``value`` and its ``draws`` ``(B,)``.

    Draws in which the score is undefined are ``nan`` and take part in nothing; interval and p are
    ``nan`` where the value is undefined or fewer than half of the draws are defined.
    """

    value: float
    draws: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Replicated:
        """From ``(1 + B,)`` values, the sample itself first."""
        return cls(float(values[0]), values[1:])

    def __sub__(self, other: Replicated) -> Replicated:
        """The paired difference; both must come from the same draws of patients."""
        return Replicated(self.value - other.value, self.draws - other.draws)

    @cached_property
    def defined(self) -> NDArray[np.float64]:
        """The draws that are defined; none where they say nothing."""
        kept = self.draws[~np.isnan(self.draws)]
        return kept if 2 * len(kept) > len(self.draws) and self.value == self.value else kept[:0]

    @property
    def low(self) -> float:
        """Lower end of the 95 % percentile interval."""
        return self._quantile((1 - CONFIDENCE) / 2)

    @property
    def high(self) -> float:
        """Upper end of the 95 % percentile interval."""
        return self._quantile((1 + CONFIDENCE) / 2)

    @property
    def error(self) -> float:
        """Standard error: the standard deviation of the draws."""
        return float(self.defined.std(ddof=1)) if len(self.defined) > 1 else float("nan")

    @property
    def p(self) -> float:
        """Two-sided p of no difference, ``2 min(P(draw <= 0), P(draw >= 0))``.

        One draw is added to both sides, so that p is never 0 (Davison and Hinkley 1997, 4.2).
        """
        d = self.defined
        if not len(d):
            return float("nan")
        side = min(int((d <= _TIE).sum()), int((d >= -_TIE).sum()))
        return min(1.0, 2 * (side + 1) / (len(d) + 1))

    @property
    def superiority(self) -> float:
        """Share of draws above 0, ties counting a half: P(A > B) over patients."""
        d = self.defined
        if not len(d):
            return float("nan")
        return float(((d > _TIE).sum() + (np.abs(d) <= _TIE).sum() / 2) / len(d))

    def _quantile(self, q: float) -> float:
        return float(np.quantile(self.defined, q)) if len(self.defined) else float("nan")
