"""Arithmetic in which an undefined value is ``nan``, never 0 and never a guess."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """Element-wise quotient; ``nan`` where the denominator is 0."""
    top = np.asarray(numerator, dtype=np.float64)
    below = np.asarray(denominator, dtype=np.float64)
    out = np.full(np.broadcast_shapes(top.shape, below.shape), np.nan)
    np.divide(top, below, out=out, where=below != 0)
    return out


def means_defined(values: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """Means along ``axis`` over the values that are defined; ``nan`` where none is."""
    array: NDArray[Any] = np.asarray(values, dtype=np.float64)
    return ratio(np.nansum(array, axis=axis), (~np.isnan(array)).sum(axis))


def mean_defined(values: ArrayLike) -> float:
    """Mean over the values that are defined; ``nan`` when none is."""
    array: NDArray[Any] = np.asarray(values, dtype=np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else float("nan")


# Scores that are one sum over slides divided by another: what they add up, slide by slide.


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
