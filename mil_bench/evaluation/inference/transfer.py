"""How much a score drops from a model's own test patients to those of another dataset.

The drop is a mean over models of ``own - here``, so it is paired over trained models. Patients of
the two datasets are resampled independently of each other: the variance of the drop is the sum of
two variances, and its degrees of freedom are those of Welch (Biometrika 34:28-35, 1947).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.inference.bootstrap import RunPredictions, mean_over_cells
from mil_bench.evaluation.inference.draws import ScoreReplicates
from mil_bench.evaluation.inference.resampling import REPLICATES, Resampling
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.scores import score_draws
from mil_bench.evaluation.sums import Draws


@dataclass(frozen=True)
class ScoreTransfer:
    """A score of the same models on their own test slides and ``here``; ``drop`` is own - here."""

    own: ScoreReplicates
    here: ScoreReplicates
    drop: ScoreReplicates


def transfer(
    own: RunPredictions, here: RunPredictions, replicates: int = REPLICATES
) -> dict[Score, ScoreTransfer]:
    """Return every score that models have on both sides, over the cells that both have.

    Both map ``(seed, fold)`` of a model to its predictions: ``own`` for the test slides of its
    training data, ``here`` for the slides of another dataset under the same tree. A cell in which a
    score is undefined on one side is left out of its drop. Raises ``DataError`` for fewer than two
    patients on a side.
    """
    cells = sorted(own.keys() & here.keys())
    if not cells:
        return {}
    there, other = (Resampling.of([p[c] for c in cells], replicates) for p in (own, here))
    of_own = {c: score_draws(own[c], there.of_slides(own[c])) for c in cells}
    of_here = {c: score_draws(here[c], other.of_slides(here[c])) for c in cells}
    # Both sides draw from one stream of random numbers. In another order they are independent.
    order = np.append(0, 1 + np.random.default_rng(0).permutation(replicates))
    apart = {
        c: {s: d[order] - of_here[c][s] for s, d in of_own[c].items() if s in of_here[c]}
        for c in cells
    }
    scores = [s for s in apart[cells[0]] if all(s in apart[c] for c in cells)]
    return {
        score: _of_score(
            mean_over_cells(of_own, score),
            mean_over_cells(of_here, score),
            mean_over_cells(apart, score),
            (there.freedom, other.freedom),
        )
        for score in scores
    }


def _of_score(own: Draws, here: Draws, apart: Draws, freedom: tuple[float, float]) -> ScoreTransfer:
    a, b = ScoreReplicates.of(own, freedom[0]), ScoreReplicates.of(here, freedom[1])
    return ScoreTransfer(a, b, ScoreReplicates.of(apart, welch(a, b)))


def welch(a: ScoreReplicates, b: ScoreReplicates) -> float:
    """Return ``(va + vb)^2 / (va^2 / fa + vb^2 / fb)`` of two squared standard errors.

    Infinite where neither side varies.
    """
    variances: NDArray[np.float64] = np.array([a.error, b.error]) ** 2
    below = float((variances**2 / np.array([a.freedom, b.freedom])).sum())
    return float(variances.sum() ** 2 / below) if below > 0 else float("inf")
