"""The controls of a hierarchical row, found on its board by what they are."""

from __future__ import annotations

from collections.abc import Iterator

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.pairs import Side
from mil_bench.leaderboard.roles import SHUFFLED
from mil_bench.taxonomy import LEAF
from mil_bench.variants import settings

HARDEST = 3
"""Flat methods that a hierarchical one is held against: those with the highest score."""

FLAT_TWIN = "without the head"
ALONE = "head alone"

_OF_TREE = ("tree", "tree_seed", "trained_tree")
_OF_HEAD = ("head", "hxe_alpha", "soft_beta")


def has_heads(analysis: Analysis, label: str) -> bool:
    """Whether a row decides an upper level by a head of its own."""
    return any(score.metric.endswith("_direct_accuracy") for score in analysis.scores[label])


def hierarchical(analysis: Analysis, row: BoardRow) -> bool:
    """Whether a row has heads of its own, or a hierarchical one that an option gave it."""
    return row.headed or has_heads(analysis, row.label)


def head_score(level: str, metric: str) -> Score:
    """``coarse_direct_balanced_accuracy``; of the leaves the metric itself."""
    return Score(metric if level == LEAF else f"{level}_direct_{metric}")


def controls_of(
    analysis: Analysis, row: BoardRow, level: str, metric: str
) -> Iterator[tuple[str, Side]]:
    """A flat method with a hierarchical head against itself without; any other against more."""
    find = _of_headed if row.headed else _of_method
    yield from find(analysis, row, level, metric)


def _of_headed(
    analysis: Analysis, row: BoardRow, level: str, metric: str
) -> Iterator[tuple[str, Side]]:
    flat = [r for r in analysis.comparable if not r.headed and _alike(row, r, _OF_HEAD)]
    yield from _flat(FLAT_TWIN, analysis, flat, level, metric)


def _of_method(
    analysis: Analysis, row: BoardRow, level: str, metric: str
) -> Iterator[tuple[str, Side]]:
    """The row's own leaves, flat rows, heads alone, shuffled trees, twins; no flat leaves.

    An upper head that was trained with shuffled classes decides something else, so of such a row
    the leaves are summed.
    """
    rows = [r for r in analysis.comparable if not r.control]
    if level != LEAF:
        flat = [r for r in rows if not hierarchical(analysis, r)]
        yield from _flat("own leaves", analysis, [row], level, metric)
        yield from _flat("flat", analysis, flat, level, metric)
    alone = _sides(analysis, [r for r in rows if r.headed], head_score(level, metric))
    yield from ((ALONE, side) for side in alone)
    shuffled = [r for r in analysis.comparable if r.control and _alike(row, r, _OF_TREE)]
    if level == LEAF:
        yield from ((SHUFFLED, s) for s in _sides(analysis, shuffled, Score(metric)))
    else:
        summed = Score(f"{level}_summed_{metric}")
        yield from ((f"{SHUFFLED}, summed", s) for s in _sides(analysis, shuffled, summed))
    for (at, twin), drawn in zip(analysis.board.twins, analysis.twins, strict=True):
        if at == level:
            yield "coarse only", Side.of(twin, Score(metric), drawn[Score(metric)])


def _flat(
    kind: str, analysis: Analysis, rows: list[BoardRow], level: str, metric: str
) -> Iterator[tuple[str, Side]]:
    """What comes without a head: leaves as they are, summed, or decided for the least risk."""
    if level == LEAF:
        yield from ((kind, side) for side in _hardest(analysis, rows, Score(metric)))
        return
    for name, words in (("summed", "summed"), ("crm", "least risk")):
        found = _hardest(analysis, rows, Score(f"{level}_{name}_{metric}"))
        yield from ((f"{kind}, {words}", side) for side in found)


def _hardest(analysis: Analysis, rows: list[BoardRow], score: Score) -> list[Side]:
    known = [r for r in rows if score in analysis.scores[r.label]]
    known.sort(key=lambda r: analysis.scores[r.label][score].value, reverse=True)
    return _sides(analysis, known[:HARDEST], score)


def _sides(analysis: Analysis, rows: list[BoardRow], score: Score) -> list[Side]:
    known = {r.label: analysis.scores[r.label].get(score) for r in rows}
    return [Side.of(r, score, drawn) for r in rows if (drawn := known[r.label]) is not None]


def _alike(one: BoardRow, other: BoardRow, but: tuple[str, ...]) -> bool:
    """Whether two rows are one method, in settings that differ in nothing ``but`` these."""
    return one.method == other.method and _without(one, but) == _without(other, but)


def _without(row: BoardRow, names: tuple[str, ...]) -> dict[str, str]:
    spec = next(r.spec for r in row.done.values() if r.spec is not None)
    return {k: v for k, v in settings(spec).items() if k not in names}
