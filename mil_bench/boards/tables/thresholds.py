"""Thresholds of one class against the rest, to be chosen on validation slides.

A slide is called positive from the threshold on. All are ``nan`` without a positive or a negative.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow
from mil_bench.boards.tables.calibration import places, resampling_of
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import source_columns, sources
from mil_bench.boards.tables.table import Cell, Number, Row, Table, score_column
from mil_bench.evaluation.inference.draws import ScoreReplicates
from mil_bench.evaluation.inference.resampling import Resampling, Weights
from mil_bench.evaluation.inference.weighted import sums_by
from mil_bench.evaluation.overall import Source, level_probabilities
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.sums import mean_defined, means_defined, ratio


def youden_threshold(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """The score ``(n,)`` at which sensitivity + specificity is largest, the highest of equals.

    Youden (Cancer 3:32-35, 1950).
    """
    if not _both(positive):
        return float("nan")
    candidates = np.unique(score)[::-1]
    hits = _from_above(score[positive], candidates) / positive.sum()
    alarms = _from_above(score[~positive], candidates) / (~positive).sum()
    return float(candidates[(hits - alarms).round(12).argmax()])


def sensitivity_threshold(
    positive: NDArray[np.bool_], score: NDArray[np.float64], target: float
) -> float:
    """The highest score at which at least ``target`` of the positives are found."""
    if not _both(positive):
        return float("nan")
    found = np.sort(score[positive])[::-1]
    return float(found[math.ceil(round(target * len(found), 9)) - 1])


def _from_above(score: NDArray[np.float64], candidates: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of ``score`` are at least each candidate."""
    return len(score) - np.searchsorted(np.sort(score), candidates, side="left")


def _both(positive: NDArray[np.bool_]) -> bool:
    return bool(positive.any() and not positive.all())


# Classes decided at a threshold: chosen on the validation slides of a run, tried on its test.

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


# Sensitivity and specificity of every class at thresholds that were chosen on validation.

_MOST = 30
"""Rows that a printed page bears."""
_KEYS = ("method", "level", "source", "class", "rule")
_SHOWN = ("threshold", "sensitivity", "specificity")
_NOTE = (
    "Thresholds are chosen on the validation slides of each run (Youden: largest sensitivity + "
    "specificity) and tried on its test slides, where a target of 95 % sensitivity need not hold"
)


def thresholds_table(analysis: Analysis) -> Table | None:
    """A row per method, level, source, class and rule; ``None`` without stored validation."""
    tree = analysis.board.taxonomy
    if analysis.refusal or tree is None:
        return None
    draws, known = resampling_of(analysis), sources(analysis.board)
    rows = []
    for row, level, source in places(analysis):
        for k, name in enumerate(tree.classes[level]):
            for rule, choose in RULES.items():
                found = operating_point(row, level, source, k, choose, draws)
                who: dict[str, Cell] = dict(
                    zip(_KEYS, (row.label, level, source, name, rule), strict=True)
                )
                if found is not None:
                    rows.append(Row(row.label, known[row.label] | who | _numbers(found)))
    if not rows:
        return None
    rates = (score_column("sensitivity", ""), score_column("specificity", ""))
    every = (*columns(*_KEYS, "threshold"), *rates, *source_columns(analysis.board))
    return Table(
        "thresholds",
        "Thresholds",
        every,
        tuple(rows),
        _KEYS,
        _SHOWN,
        _NOTE,
        printed=len(rows) <= _MOST,
    )


def _numbers(found: Operating) -> dict[str, Cell]:
    told = f"no threshold in {found.undefined} runs" if found.undefined else ""
    return {
        "threshold": Number(found.threshold, note=told),
        "sensitivity": Number.of(found.sensitivity),
        "specificity": Number.of(found.specificity),
    }
