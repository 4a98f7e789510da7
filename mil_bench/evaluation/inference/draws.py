"""One score of one method with its replicates, and what follows from replicates only.

Tails of draws are read at Student's instead of the normal quantile (expanded percentiles,
Hesterberg, The American Statistician 69:371-386, 2015): 30 patients give less precision than 3,000.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtr, stdtrit

CONFIDENCE = 0.95
_TIE = 1e-9
_LARGEST_SHIFT = 1.0


@dataclass(frozen=True)
class Replicated:
    """A score, or a difference of scores: its ``value`` and its ``draws`` ``(B,)``.

    ``freedom`` is that of Student's t, ``Resampling.freedom``; infinite is normal. Draws in which
    the score is undefined are ``nan`` and are ignored. Interval and p are ``nan`` where the value
    is undefined or fewer than half of the draws are defined.
    """

    value: float
    draws: NDArray[np.float64]
    freedom: float = float("inf")

    def __sub__(self, other: Replicated) -> Replicated:
        """The paired difference; both must come from the same draws of patients."""
        return Replicated(self.value - other.value, self.draws - other.draws, self.freedom)

    @cached_property
    def defined(self) -> NDArray[np.float64]:
        """The defined draws; none if too few are defined."""
        defined = self.draws[~np.isnan(self.draws)]
        enough = 2 * len(defined) > len(self.draws) and self.value == self.value
        return defined if enough else defined[:0]  # value == value: not nan

    @property
    def low(self) -> float:
        """Lower end of the 95 % percentile interval."""
        return self._ends[0]

    @property
    def high(self) -> float:
        """Upper end of the 95 % percentile interval."""
        return self._ends[1]

    @property
    def has_interval(self) -> bool:
        """Whether an interval holds the value; biased draws may all be on one side."""
        return self.low <= self.value <= self.high

    @property
    def error(self) -> float:
        """Standard error: the standard deviation of the draws."""
        return float(self.defined.std(ddof=1)) if len(self.defined) > 1 else float("nan")

    @property
    def p(self) -> float:
        """Two-sided p of no difference, ``2 min(P(draw <= 0), P(draw >= 0))`` read as Student's t.

        One draw is added to both sides (Davison and Hinkley 1997, 4.2). Where all draws are on one
        side, they only show that p is below about 0.001. The distance from 0 in standard errors
        then determines p; without it, no difference would survive a correction for many tests.
        """
        d = self.defined
        if not len(d):
            return float("nan")
        # A draw of 0 counts on both sides.
        side = min(int((d <= _TIE).sum()), int((d >= -_TIE).sum()))
        # The share of the smaller side in standard errors.
        normal = -float(ndtri(min(0.5, (side + 1) / (len(d) + 1))))
        if side == 0 and self.error > _TIE:
            normal = max(normal, abs(self.value) / self.error)
        return 2 * _t_below(-normal, self.freedom)  # read at Student's t

    @property
    def superiority(self) -> float:
        """Share of draws above 0, ties counting a half: P(A > B) over patients."""
        d = self.defined
        if not len(d):
            return float("nan")
        return float(((d > _TIE).sum() + (np.abs(d) <= _TIE).sum() / 2) / len(d))

    @property
    def _shift(self) -> float:
        """By how many standard errors the middle of the draws is off."""
        return 0.0

    @cached_property
    def _ends(self) -> tuple[float, float]:
        if not len(self.defined):
            return float("nan"), float("nan")
        # Student's reach, read in normal shares below.
        reach = _t_quantile((1 + CONFIDENCE) / 2, self.freedom)
        middle = 2 * self._shift
        # Expanded percentiles.
        low, high = np.quantile(self.defined, ndtr([middle - reach, middle + reach]))
        return float(low), float(high)


@dataclass(frozen=True)
class ScoreReplicates(Replicated):
    """A score of one method, whose interval is corrected for bias (BC, Efron 1987).

    Macro F1, ECE and other scores of few slides are biased in replicates, and by as much again in
    the sample. The correction moves the interval back, by one standard error each at most. In
    differences between methods such bias cancels.
    """

    @classmethod
    def of(cls, values: NDArray[np.float64], freedom: float) -> ScoreReplicates:
        """Take ``(1 + B,)`` values, the sample itself first."""
        return cls(float(values[0]), values[1:], freedom)

    @property
    def _shift(self) -> float:
        d = self.defined - self.value
        # The share of draws below the sample says by how much it is off their middle.
        below = ((d < -_TIE).sum() + (np.abs(d) <= _TIE).sum() / 2) / len(d)
        # At most one standard error.
        return float(np.clip(ndtri(below), -_LARGEST_SHIFT, _LARGEST_SHIFT))


def _t_quantile(share: float, freedom: float) -> float:
    return float(ndtri(share) if math.isinf(freedom) else stdtrit(freedom, share))


def _t_below(value: float, freedom: float) -> float:
    """P(t <= value)."""
    return float(ndtr(value) if math.isinf(freedom) else stdtr(freedom, value))
