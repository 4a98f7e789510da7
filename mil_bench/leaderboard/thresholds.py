"""Classes decided at a threshold: chosen on the validation slides of a run, tried on its test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.inference.draws import ScoreReplicates
from mil_bench.evaluation.inference.resampling import Resampling, Weights
from mil_bench.evaluation.inference.weighted import sums_by
from mil_bench.evaluation.overall import Source, level_probabilities
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.thresholds import sensitivity_threshold, youden_threshold
from mil_bench.evaluation.undefined import mean_defined, means_defined, ratio
from mil_bench.leaderboard.board import BoardRow

Rule = Callable[[NDArray[np.bool_], NDArray[np.float64]], float]
TARGET = 0.95
RULES: dict[str, Rule] = {
    "Youden": youden_threshold,
    f"sensitivity {100 * TARGET:.0f} %": lambda y, s: sensitivity_threshold(y, s, TARGET),
}


@dataclass(frozen=True)
class Operating:
    """One class of one row at the thresholds of its runs.

    ``threshold`` is their mean; scores are means over folds, then seeds, with replicates.
    ``undefined`` counts runs whose validation has no positive or no negative slide.
    """

    threshold: float
    sensitivity: ScoreReplicates
    specificity: ScoreReplicates
    undefined: int


def operating_point(
    row: BoardRow, level: str, source: Source, k: int, rule: Rule, draws: Resampling
) -> Operating | None:
    """Class ``k`` of a level under ``rule``; ``None`` where no run has stored validation slides."""
    chosen: list[float] = []
    rates: dict[int, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    for (seed, _), run in sorted(row.done.items()):
        if "val" not in run.sets:
            continue
        chosen.append(rule(*_one_class(run.sets["val"], level, source, k)))
        if chosen[-1] == chosen[-1]:
            test = run.sets["test"]
            positive, score = _one_class(test, level, source, k)
            found = _rates(positive, score >= chosen[-1], draws.of_slides(test))
            rates.setdefault(seed, []).append(found)
    if not rates:
        return None
    sensitivity, specificity = (
        means_defined(
            [means_defined([fold[i] for fold in folds], axis=0) for folds in rates.values()], axis=0
        )
        for i in (0, 1)
    )
    return Operating(
        mean_defined(chosen),
        ScoreReplicates.of(sensitivity, draws.freedom),
        ScoreReplicates.of(specificity, draws.freedom),
        sum(threshold != threshold for threshold in chosen),
    )


def _one_class(
    p: Predictions, level: str, source: Source, k: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    return p.truth(level) == k, level_probabilities(p, level, source)[:, k]


def _rates(
    positive: NDArray[np.bool_], called: NDArray[np.bool_], weights: Weights
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sensitivity and specificity ``(1 + B,)``."""
    kept, alarms, missed, hit = sums_by(2 * positive + called, 4, weights)
    return ratio(hit, hit + missed), ratio(kept, kept + alarms)
