"""Means and spreads over a grid of seeds and folds that may have holes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.undefined import mean_defined

NAN = float("nan")


@dataclass(frozen=True)
class Spread:
    """``n`` cells: their mean, and standard deviations (n - 1) over folds and over seeds.

    ``mean`` averages folds within a seed, then seeds. ``sd_folds`` is over folds of the mean of
    their seeds; ``sd_seeds`` over seeds of the mean of their folds. Only folds (seeds) without
    holes take part in a deviation, so that a hole is never mistaken for spread. ``nan`` when
    fewer than two take part.
    """

    n: int
    mean: float = NAN
    sd_folds: float = NAN
    sd_seeds: float = NAN

    @classmethod
    def of(cls, cells: Mapping[tuple[int, int], float]) -> Spread:
        """From ``(seed, fold)`` -> value; undefined values (``nan``) are holes."""
        defined = {cell: value for cell, value in cells.items() if value == value}
        if not defined:
            return cls(0)
        seeds = sorted({seed for seed, _ in defined})
        folds = sorted({fold for _, fold in defined})
        grid = np.array([[defined.get((seed, fold), NAN) for fold in folds] for seed in seeds])
        mean = float(np.mean([mean_defined(row) for row in grid]))
        return cls(len(defined), mean, _sd(grid.mean(0)), _sd(grid.mean(1)))


def _sd(means: NDArray[np.float64]) -> float:
    whole = means[~np.isnan(means)]
    return float(whole.std(ddof=1)) if len(whole) > 1 else NAN
