"""Methods with replicates under the same draws of patients, and whether they can be paired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import DataError, counted
from mil_bench.evaluation.inference.draws import Replicated, ScoreReplicates
from mil_bench.evaluation.inference.resampling import REPLICATES, Resampling
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.predictions import Predictions, SeedFold
from mil_bench.evaluation.scores import score_draws
from mil_bench.evaluation.sums import Draws, means_defined

RunPredictions = Mapping[SeedFold, Predictions]
"""Test predictions of the runs of one method, by ``(seed, fold)``."""
_SHOWN = 3


def replicate(runs: RunPredictions, resampling: Resampling) -> dict[Score, ScoreReplicates]:
    """Compute all scores of one method with replicates.

    Folds are averaged within a seed, then seeds, inside every replicate. Scores of a fold are
    computed in that fold, because models of different folds do not share a scale. A fold in which a
    score is undefined is left out of its mean.
    """
    # Every run with the weights of the slides that it tests.
    draws = {cell: score_draws(p, resampling.of_slides(p)) for cell, p in sorted(runs.items())}
    # In order of first appearance.
    scores = dict.fromkeys(score for of_run in draws.values() for score in of_run)
    freedom = resampling.freedom
    return {score: ScoreReplicates.of(mean_over_cells(draws, score), freedom) for score in scores}


def mean_over_cells(draws: Mapping[SeedFold, Mapping[Score, Draws]], score: Score) -> Draws:
    """Average the replicates of one score over folds within a seed, then over seeds."""
    by_seed: dict[int, list[Draws]] = {}
    for (seed, _), of_run in draws.items():
        by_seed.setdefault(seed, []).append(of_run[score])
    # Folds within a seed first, then seeds.
    return means_defined([means_defined(folds, axis=0) for folds in by_seed.values()], axis=0)


@dataclass(frozen=True)
class Bootstrap:
    """Scores of several methods with replicates; ``resampling`` says who was drawn."""

    resampling: Resampling
    scores: Mapping[str, Mapping[Score, ScoreReplicates]]

    @classmethod
    def of(
        cls, methods: Mapping[str, RunPredictions], replicates: int = REPLICATES, seed: int = 0
    ) -> Bootstrap:
        """Compute all scores of all methods from their predictions.

        Raises ``DataError`` unless all methods predict the same slides in the same runs
        (:func:`common` cuts them down to that) and there are at least two patients.
        """
        check_pairable(methods)
        first = next(iter(methods.values()))
        resampling = Resampling.of(first.values(), replicates, seed)
        return cls(resampling, {name: replicate(r, resampling) for name, r in methods.items()})

    def of_score(self, score: Score) -> dict[str, ScoreReplicates]:
        """Return that score of every method that has it."""
        return {name: scores[score] for name, scores in self.scores.items() if score in scores}

    def difference(self, a: str, b: str, score: Score) -> Replicated:
        """Return ``a - b``, paired over patients."""
        return self.scores[a][score] - self.scores[b][score]


def check_pairable(methods: Mapping[str, RunPredictions]) -> None:
    """Raise ``DataError`` unless all methods have the same runs and in each the same slides."""
    if not methods or not all(methods.values()):
        raise DataError("there are no predictions to compare; expected at least one per method.")
    (first, runs), *others = methods.items()
    for name, other in others:
        if runs.keys() != other.keys():
            only = sorted(runs.keys() ^ other.keys())[:_SHOWN]
            raise DataError(
                f"{first} and {name} have different (seed, fold) pairs (they differ in {only}); "
                "finish the missing runs, or compare the shared ones."
            )
        for cell, p in runs.items():
            _check_slides(f"{first} and {name}, seed {cell[0]} fold {cell[1]}", p, other[cell])


def _check_slides(what: str, a: Predictions, b: Predictions) -> None:
    order_a, order_b = np.argsort(a.slide_ids), np.argsort(b.slide_ids)
    # In order of id: files may list them differently.
    if not np.array_equal(a.slide_ids[order_a], b.slide_ids[order_b]):
        only = np.setxor1d(a.slide_ids, b.slide_ids)
        raise DataError(
            f"{what}: {counted(len(only), 'slide is', 'slides are')} predicted by one of "
            "them only (first: "
            f"{only[:_SHOWN].tolist()}); expected the same slides, or compare the shared ones."
        )
    for kind in ("labels", "groups"):  # a pair of other labels would be another task
        differ = getattr(a, kind)[order_a] != getattr(b, kind)[order_b]
        if differ.any():
            named = a.slide_ids[order_a][differ][:_SHOWN].tolist()
            raise DataError(
                f"{what}: {kind} of "
                f"{counted(int(differ.sum()), 'slide differs', 'slides differ')} (first: {named}); "
                "expected predictions of one label table."
            )


def common(
    methods: Mapping[str, RunPredictions],
) -> tuple[dict[str, dict[SeedFold, Predictions]], str]:
    """Return the runs and slides that all methods have, in one order, and what is left out.

    The sentence is empty where nothing is. Labels and patients must still agree.
    """
    # Runs that all methods have.
    cells = sorted(set.intersection(*(set(runs) for runs in methods.values())))
    shared = {
        cell: reduce(np.intersect1d, [runs[cell].slide_ids for runs in methods.values()])
        for cell in cells
    }
    cut = {
        name: {cell: _cut(runs[cell], shared[cell]) for cell in cells if len(shared[cell])}
        for name, runs in methods.items()
    }
    before = sum(len(p) for runs in methods.values() for p in runs.values())
    after = sum(len(p) for runs in cut.values() for p in runs.values())
    if after == before:
        return cut, ""
    return cut, f"compared on shared slides: {before - after} of {before} predictions are excluded"


def _cut(p: Predictions, slides: NDArray[np.str_]) -> Predictions:
    order = np.argsort(p.slide_ids)
    # In order of id, so that rows of all methods agree.
    return p.cut(order[np.isin(p.slide_ids[order], slides)])
