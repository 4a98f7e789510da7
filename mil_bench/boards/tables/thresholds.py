"""Sensitivity and specificity of every class at thresholds that were chosen on validation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow
from mil_bench.boards.tables.calibration import places
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import source_columns, sources
from mil_bench.boards.tables.table import Cell, Number, Row, Table, score_column
from mil_bench.evaluation.inference.draws import ScoreReplicates
from mil_bench.evaluation.inference.resampling import Resampling
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.predictions import Predictions, Source
from mil_bench.evaluation.sums import Draws, Weights, mean_defined, means_defined, ratio, sums_by

TARGET = 0.95
_MOST = 30
"""Rows that fit a printed page."""
_KEYS = ("method", "level", "source", "class", "rule")
_SHOWN = ("threshold", "sensitivity", "specificity")
_NOTE = (
    "Thresholds are chosen on the validation slides of each run (Youden: largest sensitivity + "
    "specificity) and applied to its test slides. Test sensitivity can be below 95 %"
)
ThresholdRule = Callable[[NDArray[np.bool_], NDArray[np.float64]], float]
"""The threshold that ``(n,)`` positives and scores give; slides are positive from it on."""


def thresholds_table(analysis: Analysis) -> Table | None:
    """Return a row per method, level, source, class and rule; ``None`` without validation."""
    tree, resampling = analysis.board.taxonomy, analysis.resampling
    if resampling is None or tree is None:
        return None
    origins, rows = sources(analysis.board), []
    for row, level, source in places(analysis):
        for k, name in enumerate(tree.classes[level]):
            for rule, choose in RULES.items():
                point = operating_point(row, level, source, k, choose, resampling)
                if point is not None:
                    place: dict[str, Cell] = dict(
                        zip(_KEYS, (row.label, level, source, name, rule), strict=True)
                    )
                    rows.append(Row(row.label, origins[row.label] | place | _numbers(point)))
    if not rows:
        return None
    rates = (score_column(Score(rate), level="") for rate in ("sensitivity", "specificity"))
    every = (*columns(*_KEYS, "threshold"), *rates, *source_columns(analysis.board))
    printed = len(rows) <= _MOST
    return Table(
        "thresholds", "Thresholds", every, tuple(rows), _KEYS, _SHOWN, _NOTE, printed=printed
    )


def _numbers(point: OperatingPoint) -> dict[str, Cell]:
    note = f"no threshold in {point.undefined} runs" if point.undefined else ""
    return {
        "threshold": Number(point.threshold, note=note),
        "sensitivity": Number.of(point.sensitivity),
        "specificity": Number.of(point.specificity),
    }


@dataclass(frozen=True)
class OperatingPoint:
    """One class of one row at the thresholds of its runs.

    ``threshold`` is their mean; scores are means over folds, then seeds, with replicates.
    ``undefined`` counts runs whose validation has no positive or no negative slide.
    """

    threshold: float
    sensitivity: ScoreReplicates
    specificity: ScoreReplicates
    undefined: int


def operating_point(
    row: BoardRow, level: str, source: Source, k: int, rule: ThresholdRule, resampling: Resampling
) -> OperatingPoint | None:
    """Return class ``k`` of a level under ``rule``; ``None`` where no run stores validation."""
    thresholds: list[float] = []
    rates: dict[int, list[tuple[Draws, Draws]]] = {}
    for (seed, _), run in sorted(row.done.items()):
        if "val" not in run.sets:  # an older or a foreign run may store the test only
            continue
        thresholds.append(rule(*_one_class(run.sets["val"], level, source, k)))
        if thresholds[-1] == thresholds[-1]:  # defined: validation had both outcomes
            test = run.sets["test"]
            positive, score = _one_class(test, level, source, k)
            of_fold = _rates(positive, score >= thresholds[-1], resampling.of_slides(test))
            rates.setdefault(seed, []).append(of_fold)
    if not rates:
        return None
    # Over folds first, then over seeds, as all scores of boards are.
    sensitivity, specificity = (
        means_defined(
            [means_defined([fold[i] for fold in folds], axis=0) for folds in rates.values()], axis=0
        )
        for i in (0, 1)
    )
    return OperatingPoint(
        mean_defined(thresholds),
        ScoreReplicates.of(sensitivity, resampling.freedom),
        ScoreReplicates.of(specificity, resampling.freedom),
        sum(threshold != threshold for threshold in thresholds),
    )


def _one_class(
    p: Predictions, level: str, source: Source, k: int
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    return p.truth(level) == k, p.probabilities(level, source)[:, k]


def _rates(
    positive: NDArray[np.bool_], called: NDArray[np.bool_], weights: Weights
) -> tuple[Draws, Draws]:
    """Sensitivity and specificity ``(1 + B,)``."""
    # Codes 0 to 3: 2 = positive, 1 = called.
    passed, alarms, missed, hit = sums_by(2 * positive + called, 4, weights)
    return ratio(hit, hit + missed), ratio(passed, passed + alarms)


def youden_threshold(positive: NDArray[np.bool_], score: NDArray[np.float64]) -> float:
    """Return the score ``(n,)`` where sensitivity + specificity is largest, the highest of equals.

    Youden (Cancer 3:32-35, 1950). ``nan`` without a positive or without a negative.
    """
    if not _both(positive):
        return float("nan")
    candidates = np.unique(score)[::-1]  # from the highest: argmax takes the first of equals
    hits = _from_above(score[positive], candidates) / positive.sum()
    alarms = _from_above(score[~positive], candidates) / (~positive).sum()
    return float(candidates[(hits - alarms).round(12).argmax()])  # rounding makes equal sums equal


def sensitivity_threshold(
    positive: NDArray[np.bool_], score: NDArray[np.float64], target: float = TARGET
) -> float:
    """Return the highest score at which at least ``target`` of the positives are called.

    ``nan`` without a positive or without a negative.
    """
    if not _both(positive):
        return float("nan")
    ranked = np.sort(score[positive])[::-1]
    # Round: 0.55 * 100 is 55.00000000000001.
    return float(ranked[math.ceil(round(target * len(ranked), 9)) - 1])


def _from_above(score: NDArray[np.float64], candidates: NDArray[np.float64]) -> NDArray[np.int64]:
    """How many of ``score`` are at least each candidate."""
    return len(score) - np.searchsorted(np.sort(score), candidates, side="left")


def _both(positive: NDArray[np.bool_]) -> bool:
    return bool(positive.any() and not positive.all())


RULES: dict[str, ThresholdRule] = {
    "Youden": youden_threshold,
    f"sensitivity {100 * TARGET:.0f} %": sensitivity_threshold,
}
