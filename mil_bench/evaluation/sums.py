"""Sums over weighted slides, for all replicates at once, where undefined is ``nan``.

Weights are ``(n, B)``: how much slide ``i`` counts in replicate ``b``. An undefined value is never
0 and never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import csr_array

Weights = NDArray[np.float32]
Draws = NDArray[np.float64]
"""``(B,)``: a score in every replicate."""
_CHUNK = 1024


def ones(slides: int) -> Weights:
    """Return ``(slides, 1)`` weights of 1: the one replicate that is the sample itself."""
    return np.ones((slides, 1), dtype=np.float32)


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> NDArray[np.float64]:
    """Divide element by element; ``nan`` where the denominator is 0."""
    top = np.asarray(numerator, dtype=np.float64)
    below = np.asarray(denominator, dtype=np.float64)
    out = np.full(np.broadcast_shapes(top.shape, below.shape), np.nan)
    # Only where it is defined: no warning, and nan elsewhere.
    np.divide(top, below, out=out, where=below != 0)
    return out


def means_defined(values: ArrayLike, axis: int = -1) -> NDArray[np.float64]:
    """Average along ``axis`` the values that are defined; ``nan`` where none is."""
    array: NDArray[Any] = np.asarray(values, dtype=np.float64)
    # nansum and a count: nanmean would warn.
    return ratio(np.nansum(array, axis=axis), (~np.isnan(array)).sum(axis))


def mean_defined(values: ArrayLike) -> float:
    """Average the values that are defined; ``nan`` when none is."""
    array: NDArray[Any] = np.asarray(values, dtype=np.float64)
    defined = array[~np.isnan(array)]
    return float(defined.mean()) if defined.size else float("nan")


def sums_by(index: NDArray[np.int64], rows: int, weights: Weights) -> Weights:
    """Add up the weights ``(n, B)`` by ``index`` ``(n,)``: ``(rows, B)``; others are dropped.

    One pass over the weights, whatever the number of rows.
    """
    inside = np.flatnonzero(index < rows)  # rows beyond are the caller's nothing
    if weights.shape[1] == 1:  # a sparse matrix costs more than it saves for a single column
        sums = np.bincount(index[inside], weights[inside, 0], rows)
        return sums.astype(np.float32)[:, None]
    cells = (np.ones(len(inside), dtype=np.float32), (index[inside], inside))
    adder = csr_array(cells, shape=(rows, len(index)))  # (rows, n): 1 where a slide is in a row
    return np.asarray(adder @ weights, dtype=np.float32)


def weighted_sums(terms: NDArray[Any], weights: Weights) -> NDArray[np.float64]:
    """Sum ``terms`` ``(rows, n)`` times weights over slides: ``(rows, B)``, in float64.

    In chunks of slides, because the weights of all slides in float64 take twice their memory.
    """
    total = np.zeros((len(terms), weights.shape[1]))
    for start in range(0, terms.shape[1], _CHUNK):
        part = slice(start, start + _CHUNK)
        total += terms[:, part].astype(np.float64) @ weights[part].astype(np.float64)
    return total


@dataclass(frozen=True)
class SlideRatio:
    """``sum(numerator) / sum(denominator)`` over slides, both ``(n,)``; ``nan`` over nothing.

    Resampling slides or patients means to weigh both sums alike.
    """

    numerator: NDArray[Any]
    denominator: NDArray[Any]

    @classmethod
    def mean(cls, terms: NDArray[Any]) -> SlideRatio:
        """Return the mean of ``terms`` ``(n,)``."""
        return cls(terms, np.ones(len(terms)))


def weighted_ratios(ratios: Mapping[str, SlideRatio], weights: Weights) -> dict[str, Draws]:
    """Compute every ratio in every replicate, by name."""
    tops = np.stack([r.numerator for r in ratios.values()])
    below = np.stack([r.denominator for r in ratios.values()])
    sums = weighted_sums(np.concatenate([tops, below]), weights)  # one product for all
    quotients = ratio(sums[: len(ratios)], sums[len(ratios) :])
    return dict(zip(ratios, quotients, strict=True))
