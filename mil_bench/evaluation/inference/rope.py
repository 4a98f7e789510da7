"""How probable is a difference worth having? Over folds that share training slides."""

from __future__ import annotations

from dataclasses import dataclass

from scipy import stats

from mil_bench.evaluation.paired import PairedDifference

ROPE = 0.01
"""Differences up to this size are equivalent in practice (region of practical equivalence)."""


@dataclass(frozen=True)
class Equivalence:
    """Probabilities that the mean difference is below, within and above ``+-rope``."""

    below: float
    within: float
    above: float


def equivalence(difference: PairedDifference, rope: float = ROPE) -> Equivalence:
    """Posterior of the correlated t (Corani and Benavoli, Machine Learning 100:285-304, 2015).

    A Student t with ``n - 1`` degrees of freedom at the mean, scaled by the error that Nadeau and
    Bengio allow for. All ``nan`` with fewer than two folds; a point where nothing ever differs.
    """
    if difference.error == 0:
        below, above = float(difference.mean < -rope), float(difference.mean > rope)
    else:
        posterior = stats.t(difference.n - 1, difference.mean, difference.error)
        below, above = float(posterior.cdf(-rope)), float(posterior.sf(rope))
    return Equivalence(below, 1 - below - above, above)
