"""Retraining: is one method better than another over folds that share training bags, and seeds?

Training sets of folds overlap, so their differences are not independent, and an ordinary paired t
test is far too sure. Nadeau and Bengio (Machine Learning 52:239-281, 2003) correct the variance:
``sd^2 (1/J + n_test/n_train)`` with ``J - 1`` degrees of freedom. Read as a posterior it is the
correlated t of Corani and Benavoli (2015).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mil_bench.evaluation.inference.draws import CONFIDENCE, Replicated
from mil_bench.evaluation.inference.resampling import REPLICATES
from mil_bench.evaluation.predictions import SeedFold

ROPE = 0.01
"""Differences up to this size are equivalent in practice (region of practical equivalence)."""


@dataclass(frozen=True)
class PairedDifference:
    """Mean of ``n`` differences and the standard error that overlapping training sets allow.

    With fewer than two differences ``error`` is ``nan``, and so are interval and p.
    """

    n: int
    mean: float
    error: float

    @classmethod
    def of(cls, differences: ArrayLike, test_share: float) -> PairedDifference:
        """Summarise ``(J,)`` differences, one per fold; ``test_share`` is ``n_test / n_train``.

        Without any difference the mean is ``nan``.
        """
        d = np.asarray(differences, dtype=np.float64)
        if len(d) < 2:
            return cls(len(d), float(d[0]) if len(d) else float("nan"), float("nan"))
        # Nadeau and Bengio's correction.
        return cls(len(d), float(d.mean()), float(d.std(ddof=1) * np.sqrt(1 / len(d) + test_share)))

    @property
    def half_width(self) -> float:
        """Half the width of the 95 % interval."""
        return float(stats.t.ppf((1 + CONFIDENCE) / 2, self.n - 1) * self.error)

    @property
    def low(self) -> float:
        """Lower end of the 95 % interval."""
        return self.mean - self.half_width

    @property
    def high(self) -> float:
        """Upper end of the 95 % interval."""
        return self.mean + self.half_width

    @property
    def p(self) -> float:
        """Two-sided p of no difference; 1 where nothing ever differs."""
        if self.error == 0:  # no spread: all differences are equal
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.n - 1))


def fold_differences(
    values: Mapping[SeedFold, float], reference: Mapping[SeedFold, float]
) -> NDArray[np.float64]:
    """Return ``(J,)`` differences ``values - reference``, one per fold, seeds averaged within it.

    Both map ``(seed, fold)`` to a score and must hold the same cells: seeds are repetitions of one
    fold and would otherwise count as separate folds. Raises ``ValueError`` when they do not.
    """
    if values.keys() != reference.keys():
        raise ValueError("a paired difference needs the same seeds and folds on both sides")
    folds = sorted({fold for _, fold in values})
    return np.array(
        # Seeds averaged within a fold.
        [np.mean([values[c] - reference[c] for c in values if c[1] == fold]) for fold in folds]
    )


@dataclass(frozen=True)
class Equivalence:
    """Probabilities that the mean difference is below, within and above ``+-rope``."""

    below: float
    within: float
    above: float


def equivalence(difference: PairedDifference, rope: float = ROPE) -> Equivalence:
    """Return the posterior of the correlated t (Corani and Benavoli, Mach Learn 100:285-304, 2015).

    A Student t with ``n - 1`` degrees of freedom at the mean, scaled by the error that Nadeau and
    Bengio allow for. All ``nan`` with fewer than two folds; a point where nothing ever differs.
    """
    if difference.error == 0:
        below, above = float(difference.mean < -rope), float(difference.mean > rope)
    else:
        # Correlated t as a posterior.
        posterior = stats.t(difference.n - 1, difference.mean, difference.error)
        below, above = float(posterior.cdf(-rope)), float(posterior.sf(rope))
    return Equivalence(below, 1 - below - above, above)


def probability_better(
    a: ArrayLike, b: ArrayLike, replicates: int = REPLICATES, seed: int = 0
) -> Replicated:
    """Return P(A > B) paired over runs, ties counting a half (Bouthillier et al., MLSys 2021).

    ``a`` and ``b`` ``(J,)`` are scores of which higher is better, of the same seeds in one order.
    The interval is the percentile bootstrap over pairs; A is better in a meaningful way where
    ``low > 0.5`` and ``value > 0.75``. ``nan`` without seeds.
    """
    wins = (1 + np.sign(np.subtract(a, b, dtype=np.float64))) / 2  # 1, 1/2 or 0
    if not len(wins):
        return Replicated(float("nan"), np.full(replicates, np.nan))
    rng = np.random.default_rng(seed)
    drawn = wins[rng.integers(0, len(wins), (replicates, len(wins)))]  # whole pairs are drawn
    return Replicated(float(wins.mean()), drawn.mean(1))
