"""The controls of one hierarchical row, found among the runs by what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.pairs import Pair, Side, corrected, pair_of
from mil_bench.taxonomy import LEAF
from mil_bench.variants import settings

METRICS = ("balanced_accuracy", "macro_auc")
_FREE = ("tree", "tree_seed", "trained_tree")
"""Settings in which a row and its shuffled control may differ."""


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
        if has_heads(analysis, label):
            for level in analysis.board.taxonomy.levels:
                for metric in METRICS:
                    found += _of_head(analysis, rows[label], level, metric)
    return found


def has_heads(analysis: Analysis, label: str) -> bool:
    """Whether a row decides an upper level by a head of its own."""
    return any(score.metric.endswith("_direct_accuracy") for score in analysis.scores[label])


def _of_head(analysis: Analysis, row: BoardRow, level: str, metric: str) -> list[Gain]:
    score = _head(level, metric)
    if score not in analysis.scores[row.label]:
        return []
    own = Side.of(row, score, analysis.scores[row.label][score])
    sides = list(_controls(analysis, row, level, metric))
    pairs = corrected([pair_of(score, own, side) for _, side in sides])
    return [
        Gain(row.label, level, kind, side.label, pair)
        for (kind, side), pair in zip(sides, pairs, strict=True)
    ]


def _controls(
    analysis: Analysis, row: BoardRow, level: str, metric: str
) -> Iterator[tuple[str, Side]]:
    """The row's own leaves, those of flat rows, shuffled trees, twins; only shuffled for leaves.

    An upper head that was trained with shuffled classes decides something else, so of such a row
    the leaves are summed.
    """
    flat = [r for r in analysis.comparable if not (r.control or has_heads(analysis, r.label))]
    if level != LEAF:
        for kind, chosen in (("own leaves", [row]), ("flat", flat)):
            for name, words in (("summed", "summed"), ("crm", "least risk")):
                found = _sides(analysis, chosen, Score(f"{level}_{name}_{metric}"))
                yield from ((f"{kind}, {words}", side) for side in found)
    alike = [r for r in analysis.comparable if r.control and _core(r) == _core(row)]
    if level == LEAF:
        yield from (("shuffled tree", s) for s in _sides(analysis, alike, Score(metric)))
    else:
        summed = Score(f"{level}_summed_{metric}")
        yield from (("shuffled tree, summed", s) for s in _sides(analysis, alike, summed))
    for (at, twin), drawn in zip(analysis.board.twins, analysis.twins, strict=True):
        if at == level:
            yield "coarse only", Side.of(twin, Score(metric), drawn[Score(metric)])


def _sides(analysis: Analysis, rows: list[BoardRow], score: Score) -> list[Side]:
    known = {r.label: analysis.scores[r.label].get(score) for r in rows}
    return [Side.of(r, score, drawn) for r in rows if (drawn := known[r.label]) is not None]


def _head(level: str, metric: str) -> Score:
    return Score(metric if level == LEAF else f"{level}_direct_{metric}")


def _core(row: BoardRow) -> tuple[str, dict[str, str]]:
    """Method and settings, without those of the tree."""
    spec = next(r.spec for r in row.done.values() if r.spec is not None)
    return row.method, {k: v for k, v in settings(spec).items() if k not in _FREE}
