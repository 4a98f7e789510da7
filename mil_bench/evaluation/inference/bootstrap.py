"""Whether methods can be paired: the same slides, of the same patients, in the same cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import DataError
from mil_bench.evaluation.inference.draws import Replicated, ScoreReplicates
from mil_bench.evaluation.inference.resampling import REPLICATES, Resampling
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.scores import score_draws
from mil_bench.evaluation.sums import Draws, means_defined

Cells = Mapping[tuple[int, int], Predictions]
"""Test predictions of one method by ``(seed, fold)``."""
_SHOWN = 3


def check_pairable(methods: Mapping[str, Cells]) -> None:
    """``DataError`` unless all methods have the same cells and in each the same slides."""
    if not methods or not all(methods.values()):
        raise DataError("there are no predictions to compare; expected at least one per method.")
    (first, cells), *others = methods.items()
    for name, other in others:
        if cells.keys() != other.keys():
            only = sorted(cells.keys() ^ other.keys())[:_SHOWN]
            raise DataError(
                f"{first} and {name} have different (seed, fold) pairs (they differ in {only}); "
                "finish the missing runs, or compare the shared ones."
            )
        for cell, p in cells.items():
            _check_slides(f"{first} and {name}, seed {cell[0]} fold {cell[1]}", p, other[cell])


def common(
    methods: Mapping[str, Cells],
) -> tuple[dict[str, dict[tuple[int, int], Predictions]], str]:
    """The cells and slides that all methods have, in one order, and a sentence on what is left out.

    The sentence is empty where nothing is. Labels and patients must still agree.
    """
    cells = sorted(set.intersection(*(set(found) for found in methods.values())))
    shared = {
        cell: reduce(np.intersect1d, [found[cell].slide_ids for found in methods.values()])
        for cell in cells
    }
    cut = {
        name: {cell: _cut(found[cell], shared[cell]) for cell in cells if len(shared[cell])}
        for name, found in methods.items()
    }
    before = sum(len(p) for found in methods.values() for p in found.values())
    after = sum(len(p) for found in cut.values() for p in found.values())
    if after == before:
        return cut, ""
    return cut, f"compared on shared slides: {before - after} of {before} predictions are excluded"


def _cut(p: Predictions, slides: NDArray[np.str_]) -> Predictions:
    order = np.argsort(p.slide_ids)
    return p.cut(order[np.isin(p.slide_ids[order], slides)])


def _check_slides(what: str, a: Predictions, b: Predictions) -> None:
    order_a, order_b = np.argsort(a.slide_ids), np.argsort(b.slide_ids)
    if not np.array_equal(a.slide_ids[order_a], b.slide_ids[order_b]):
        only = np.setxor1d(a.slide_ids, b.slide_ids)
        raise DataError(
            f"{what}: {len(only)} slides are predicted by one of them only (first: "
            f"{only[:_SHOWN].tolist()}); expected the same slides, or compare the shared ones."
        )
    for kind in ("labels", "groups"):
        differ = getattr(a, kind)[order_a] != getattr(b, kind)[order_b]
        if differ.any():
            named = a.slide_ids[order_a][differ][:_SHOWN].tolist()
            raise DataError(
                f"{what}: {kind} of {int(differ.sum())} slides differ (first: {named}); expected "
                "predictions of one label table."
            )


# Methods side by side under the same draws of patients.


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
