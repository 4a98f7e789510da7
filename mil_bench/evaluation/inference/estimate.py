"""A number with a standard error from theory, read as normal."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from mil_bench.evaluation.inference.draws import CONFIDENCE


@dataclass(frozen=True)
class Estimate:
    """``value`` and its standard ``error``; interval and p are ``nan`` where the error is."""

    value: float
    error: float

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.value - self._half_width

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.value + self._half_width

    @property
    def p(self) -> float:
        """Two-sided p that the truth is 0; 1 where nothing ever differs."""
        if self.error == 0:
            return 1.0 if self.value == 0 else 0.0
        return float(2 * stats.norm.sf(abs(self.value) / self.error))

    @property
    def _half_width(self) -> float:
        return float(stats.norm.ppf((1 + CONFIDENCE) / 2) * self.error)
