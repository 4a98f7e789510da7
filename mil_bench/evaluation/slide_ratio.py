"""Scores that are one sum over slides divided by another: what they add up, slide by slide."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.undefined import ratio


@dataclass(frozen=True)
class SlideRatio:
    """``sum(numerator) / sum(denominator)`` over slides, both ``(n,)``; ``nan`` over nothing.

    Resampling slides or patients means to weigh both sums alike.
    """

    numerator: NDArray[Any]
    denominator: NDArray[Any]

    @classmethod
    def mean(cls, terms: NDArray[Any]) -> SlideRatio:
        """The mean of ``terms`` ``(n,)``."""
        return cls(terms, np.ones(len(terms)))

    @property
    def score(self) -> float:
        """The quotient."""
        return float(ratio(self.numerator.sum(), self.denominator.sum()))


def scored(ratios: Mapping[str, SlideRatio]) -> dict[str, float]:
    """Quotients by name."""
    return {name: ratio.score for name, ratio in ratios.items()}
