"""What hierarchical rows gain over their controls, paired over patients and over runs."""

from __future__ import annotations

from dataclasses import dataclass

from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.controls.kinds import controls_of, head_score, hierarchical
from mil_bench.leaderboard.pairs import Pair, Side, corrected, pair_of

METRICS = ("balanced_accuracy", "macro_auc")


@dataclass(frozen=True)
class Gain:
    """What the direct head of a row has over one control, at one level.

    ``kind`` says what the control is, ``control`` whose it is.
    """

    method: str
    level: str
    kind: str
    control: str
    pair: Pair


def gains(analysis: Analysis) -> list[Gain]:
    """Every comparable row with heads of its own against every control, metric by metric.

    Holm's correction is over the controls of a row at a level, for one metric.
    """
    if analysis.board.taxonomy is None:
        return []
    found = []
    rows = {row.label: row for row in analysis.board.rows}
    for label in analysis.paired:
        if hierarchical(analysis, rows[label]):
            for level in analysis.board.taxonomy.levels:
                for metric in METRICS:
                    found += _of_head(analysis, rows[label], level, metric)
    return found


def _of_head(analysis: Analysis, row: BoardRow, level: str, metric: str) -> list[Gain]:
    score = head_score(level, metric)
    if score not in analysis.scores[row.label]:
        return []
    own = Side.of(row, score, analysis.scores[row.label][score])
    sides = list(controls_of(analysis, row, level, metric))
    pairs = corrected([pair_of(score, own, side) for _, side in sides])
    return [
        Gain(row.label, level, kind, side.label, pair)
        for (kind, side), pair in zip(sides, pairs, strict=True)
    ]
