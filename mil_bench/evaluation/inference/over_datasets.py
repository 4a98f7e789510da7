"""Who is best over many datasets? Tests on ranks within datasets (Demsar, JMLR 7:1-30, 2006)."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mil_bench.base.errors import DataError, counted
from mil_bench.evaluation.inference.formulas import holm

FEWEST = 6
"""With 5 blocks the smallest possible p of Wilcoxon's test is 0.0625."""


@dataclass(frozen=True)
class DatasetScores:
    """``scores`` ``(N, k)`` of ``k`` methods on ``N`` independent datasets; higher is better.

    Folds, seeds and encoders of one dataset are not independent. Raises ``DataError`` for fewer
    than 6 datasets, fewer than 2 methods or an undefined score.
    """

    methods: tuple[str, ...]
    scores: NDArray[np.float64]

    def __post_init__(self) -> None:
        datasets, methods = self.scores.shape
        if datasets < FEWEST:
            raise DataError(
                f"{counted(datasets, 'dataset is', 'datasets are')} too few for a test "
                "over datasets: even a "
                "method that wins on all of them would not be significantly better. Expected at "
                f"least {FEWEST}; compare within each dataset."
            )
        if methods < 2:
            raise DataError(f"there is {methods} method; a comparison requires at least two.")
        if np.isnan(self.scores).any():
            raise DataError(
                f"{int(np.isnan(self.scores).sum())} of {self.scores.size} scores over datasets "
                "are missing; expected all methods on all datasets; leave some out."
            )

    @property
    def mean_ranks(self) -> NDArray[np.float64]:
        """``(k,)``: 1 is best; ties share the mean of their ranks."""
        return np.asarray(stats.rankdata(-self.scores, axis=1).mean(0))  # 1 is the highest score

    def friedman(self) -> tuple[float, float]:
        """Return F and p of Iman and Davenport (1980), which corrects Friedman's test; ties
        allowed.

        Raises ``DataError`` for two methods, where Wilcoxon's test is the test.
        """
        datasets, methods = self.scores.shape
        if methods < 3:
            raise DataError(
                "Friedman's test requires at least three methods; use wilcoxon for two."
            )
        if not np.ptp(self.scores, axis=1).any():  # all methods equal everywhere: no rank to test
            return 0.0, 1.0
        chi2 = stats.friedmanchisquare(*self.scores.T).statistic
        # Iman and Davenport's denominator; 0 in complete agreement.
        left = max(0.0, datasets * (methods - 1) - float(chi2))
        f = (datasets - 1) * float(chi2) / left if left else float("inf")
        return f, float(stats.f.sf(f, methods - 1, (methods - 1) * (datasets - 1)))

    def wilcoxon(self) -> NDArray[np.float64]:
        """Return ``(k, k)`` two-sided p of signed ranks, Holm-corrected over pairs; 1 on the
        diagonal.
        """
        p = np.ones((len(self.methods), len(self.methods)))
        pairs = list(itertools.combinations(range(len(self.methods)), 2))
        differences = [self.scores[:, i] - self.scores[:, j] for i, j in pairs]
        # A pair without differences has p 1.
        raw = [float(stats.wilcoxon(d).pvalue) if d.any() else 1.0 for d in differences]
        for (i, j), value in zip(pairs, holm(raw), strict=True):
            p[i, j] = p[j, i] = value
        return p

    def critical_difference(self, alpha: float = 0.05) -> float:
        """Return the critical difference of mean ranks, ``q sqrt(k (k + 1) / 6 N)`` (Nemenyi 1963).

        Methods closer than it are not separable.
        """
        datasets, methods = self.scores.shape
        # The studentised range over sqrt 2.
        q = stats.studentized_range.ppf(1 - alpha, methods, np.inf) / np.sqrt(2)
        return float(q * np.sqrt(methods * (methods + 1) / (6 * datasets)))

    def cliques(self, alpha: float = 0.05) -> list[tuple[str, ...]]:
        """Return the largest sets of methods within one critical difference: a diagram's bars."""
        reach, order = self.critical_difference(alpha), np.argsort(self.mean_ranks, kind="stable")
        ranks = self.mean_ranks[order]
        ends = np.searchsorted(ranks, ranks + reach, side="right")
        # Only sets that no other contains.
        spans = [(i, end) for i, end in enumerate(ends) if i == 0 or end > ends[i - 1]]
        return [tuple(self.methods[m] for m in order[i:j]) for i, j in spans if j - i > 1]
