"""Is one method better than another over folds that share their training bags?

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

CONFIDENCE = 0.95


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
        """From ``(J,)`` differences, one per fold; ``test_share`` is ``n_test / n_train``.

        Without any difference the mean is ``nan``.
        """
        d = np.asarray(differences, dtype=np.float64)
        if len(d) < 2:
            return cls(len(d), float(d[0]) if len(d) else float("nan"), float("nan"))
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
        if self.error == 0:
            return 1.0 if self.mean == 0 else 0.0
        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.n - 1))


def fold_differences(
    values: Mapping[tuple[int, int], float], reference: Mapping[tuple[int, int], float]
) -> NDArray[np.float64]:
    """``(J,)`` differences ``values - reference``, one per fold, seeds averaged within the fold.

    Both map ``(seed, fold)`` to a score and must hold the same cells: seeds are repetitions of one
    fold and would otherwise count as folds of their own. Raises ``ValueError`` when they do not.
    """
    if values.keys() != reference.keys():
        raise ValueError("a paired difference needs the same seeds and folds on both sides")
    folds = sorted({fold for _, fold in values})
    return np.array(
        [np.mean([values[c] - reference[c] for c in values if c[1] == fold]) for fold in folds]
    )
