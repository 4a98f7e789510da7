"""The standard error of an AUC and of a paired difference of AUCs, without resampling.

DeLong, DeLong and Clarke-Pearson (Biometrics 44:837-845, 1988) with the fast midranks of Sun and Xu
(IEEE Signal Processing Letters 21:1389-1393, 2014). Obuchowski (Biometrics 53:567-578, 1997) for
several slides per patient; with one slide per patient it equals DeLong's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.stats import rankdata

from mil_bench.evaluation.inference.draws import CONFIDENCE
from mil_bench.evaluation.sums import ratio


def auc_difference(
    positive: NDArray[np.bool_],
    a: NDArray[np.float64],
    b: NDArray[np.float64],
    groups: NDArray[np.str_],
) -> NormalEstimate:
    """Return the AUC of the scores ``a`` minus that of ``b`` on slides of the patients ``groups``.

    All are ``(n,)``.
    """
    pair = AucComponents.of(positive, a) - AucComponents.of(positive, b)
    return pair.clustered(positive, groups)


@dataclass(frozen=True)
class AucComponents:
    """How often a positive beats negatives, ``v10`` ``(m,)``, and is beaten, ``v01`` ``(n,)``.

    The mean of either is the AUC. Differences of two methods are components, too.
    """

    v10: NDArray[np.float64]
    v01: NDArray[np.float64]

    @classmethod
    def of(cls, positive: NDArray[np.bool_], score: NDArray[np.float64]) -> AucComponents:
        """Compute them from ``(n,)`` truth and scores; ties count a half."""
        m, n = int(positive.sum()), int((~positive).sum())
        rank = rankdata(score)  # midranks of all slides
        # Rank among all less that among equals: the other side.
        beaten_by = rank[positive] - rankdata(score[positive])
        beats = rank[~positive] - rankdata(score[~positive])
        return cls(ratio(beaten_by, n), 1 - ratio(beats, m))

    def __sub__(self, other: AucComponents) -> AucComponents:
        return AucComponents(self.v10 - other.v10, self.v01 - other.v01)

    @property
    def mean(self) -> float:
        """The AUC, or the difference of AUCs; ``nan`` without a positive or without a negative."""
        if not (len(self.v10) and len(self.v01)):
            return float("nan")
        return float(self.v10.mean())

    def unclustered(self) -> NormalEstimate:
        """Estimate with DeLong's error: every slide counts as one patient."""
        # Variance of a mean, for each side.
        spread = [ratio(_squares(v).sum(), len(v) * (len(v) - 1)) for v in (self.v10, self.v01)]
        return NormalEstimate(self.mean, float(np.sqrt(sum(spread))))

    def clustered(self, positive: NDArray[np.bool_], groups: NDArray[np.str_]) -> NormalEstimate:
        """Estimate with Obuchowski's error: ``groups`` ``(n,)`` are the patients of the slides.

        The error is ``nan`` unless at least two patients have positives and two have negatives.
        """
        names, patient = np.unique(groups, return_inverse=True)
        m, n, patients = len(self.v10), len(self.v01), len(names)
        # Components are summed per patient first: slides of one patient are not independent.
        sum10 = np.bincount(patient[positive], self.v10 - self.mean, patients)
        sum01 = np.bincount(patient[~positive], self.v01 - self.mean, patients)
        # Patients with positives, with negatives.
        with10, with01 = (len(np.unique(patient[side])) for side in (positive, ~positive))
        s10 = ratio(with10, (with10 - 1) * m) * (sum10**2).sum()
        s01 = ratio(with01, (with01 - 1) * n) * (sum01**2).sum()
        # Patients with both make the sides dependent.
        s11 = ratio(patients, patients - 1) * (sum10 * sum01).sum()
        variance = ratio(s10, m) + ratio(s01, n) + ratio(2 * s11, m * n)
        # Rounding may fall below 0.
        return NormalEstimate(self.mean, float(np.sqrt(np.maximum(variance, 0))))


def _squares(v: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.square(v - v.mean()) if len(v) else v


@dataclass(frozen=True)
class NormalEstimate:
    """A ``value`` with a standard ``error`` from theory, read as normal.

    Interval and p are ``nan`` where the error is.
    """

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
