"""Methods side by side under the same draws of patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mil_bench.evaluation.inference.draws import Replicated, ScoreReplicates
from mil_bench.evaluation.inference.pairing import Cells, check_pairable
from mil_bench.evaluation.inference.resampling import REPLICATES, Resampling
from mil_bench.evaluation.inference.score_draws import Draws, Score, score_draws
from mil_bench.evaluation.undefined import means_defined


@dataclass(frozen=True)
class Bootstrap:
    """Scores of every method with replicates; ``resampling`` says who was drawn."""

    resampling: Resampling
    scores: Mapping[str, Mapping[Score, ScoreReplicates]]

    @classmethod
    def of(
        cls, methods: Mapping[str, Cells], replicates: int = REPLICATES, seed: int = 0
    ) -> Bootstrap:
        """All scores of all methods, each from its predictions by ``(seed, fold)``.

        Raises ``DataError`` unless all methods predict the same slides in the same cells
        (``pairing.common`` cuts them down to that) and there are at least two patients.
        """
        check_pairable(methods)
        first = next(iter(methods.values()))
        resampling = Resampling.of(first.values(), replicates, seed)
        return cls(resampling, {name: replicate(c, resampling) for name, c in methods.items()})

    def of_score(self, score: Score) -> dict[str, ScoreReplicates]:
        """Method -> that score, for the methods that have it."""
        return {name: found[score] for name, found in self.scores.items() if score in found}

    def difference(self, a: str, b: str, score: Score) -> Replicated:
        """``a - b``, paired over patients."""
        return self.scores[a][score] - self.scores[b][score]


def replicate(cells: Cells, resampling: Resampling) -> dict[Score, ScoreReplicates]:
    """Scores of one method: folds averaged within a seed, then seeds, inside every replicate.

    Scores of a fold are computed in that fold, because models of different folds do not share a
    scale. A fold in which a score is undefined is left out of its mean.
    """
    found = {cell: score_draws(p, resampling.of_slides(p)) for cell, p in sorted(cells.items())}
    names = dict.fromkeys(score for values in found.values() for score in values)
    freedom = resampling.freedom
    return {name: ScoreReplicates.of(_mean(found, name), freedom) for name in names}


def _mean(found: Mapping[tuple[int, int], Mapping[Score, Draws]], score: Score) -> Draws:
    by_seed: dict[int, list[Draws]] = {}
    for (seed, _), values in found.items():
        by_seed.setdefault(seed, []).append(values[score])
    return means_defined([means_defined(folds, axis=0) for folds in by_seed.values()], axis=0)
