"""The controls of a hierarchical row, found on its board by what they are."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow
from mil_bench.boards.roles import SHUFFLED
from mil_bench.boards.tables.pairs import Pair, Side, corrected, pair_of
from mil_bench.boards.verdict import points
from mil_bench.contract.variants import settings
from mil_bench.evaluation.metrics import PRIMARY, Score

HARDEST = 3
"""Flat methods that a hierarchical one is held against: those with the highest score."""

FLAT_TWIN = "without the head"
ALONE = "head alone"

_OF_TREE = ("tree", "tree_seed", "trained_tree")
_OF_HEAD = ("head", "hxe_alpha", "soft_beta")


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
        flat = [r for r in rows if not r.hierarchical]
        yield from _flat("own leaves", analysis, [row], level, metric)
        yield from _flat("flat", analysis, flat, level, metric)
    alone = _sides(analysis, [r for r in rows if r.headed], Score(metric, level))
    yield from ((ALONE, side) for side in alone)
    shuffled = [r for r in analysis.comparable if r.control and _alike(row, r, _OF_TREE)]
    if level == LEAF:
        yield from ((SHUFFLED, s) for s in _sides(analysis, shuffled, Score(metric)))
    else:
        summed = Score(metric, level, "summed")
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
    for source, words in (("summed", "summed"), ("crm", "least risk")):
        found = _hardest(analysis, rows, Score(metric, level, source))
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


# What hierarchical rows gain over their controls, paired over patients and over runs.

METRICS = (PRIMARY, "macro_auc")


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
        if rows[label].hierarchical:
            for level in analysis.board.taxonomy.levels:
                for metric in METRICS:
                    found += _of_head(analysis, rows[label], level, metric)
    return found


def _of_head(analysis: Analysis, row: BoardRow, level: str, metric: str) -> list[Gain]:
    score = Score(metric, level)
    if score not in analysis.scores[row.label]:
        return []
    own = Side.of(row, score, analysis.scores[row.label][score])
    sides = list(controls_of(analysis, row, level, metric))
    pairs = corrected([pair_of(score, own, side) for _, side in sides])
    return [
        Gain(row.label, level, kind, side.label, pair)
        for (kind, side), pair in zip(sides, pairs, strict=True)
    ]


# What the controls say about the first hierarchical row of a board.


def hierarchy_caveats(analysis: Analysis) -> list[str]:
    """Heads and leaves that no control shows to be better, and controls that were never run.

    Of the highest comparable row with heads of its own, by balanced accuracy; without one, of the
    highest flat method with a hierarchical head. Empty without either.
    """
    found = gains(analysis)
    if not found:
        return []
    whole = [g for g in found if not g.kind.startswith(FLAT_TWIN)]
    own = [g for g in found if g.method == (whole or found)[0].method]
    told = [*_heads(own), *_leaves(own), *_shuffled(own)]
    return [*told, *_missing(own)] if whole else told


def _heads(own: list[Gain]) -> list[str]:
    """Every upper level whose head is not better than all controls."""
    told = []
    for level in dict.fromkeys(g.level for g in own if g.level != LEAF):
        least = _least([g for g in own if g.level == level])
        if least.pair.decision != "better":
            what = f"the {level} head of {least.method}"
            told.append(f"{what} is not shown to be better than {_control(least)} {_by(least)}")
    return told


def _leaves(own: list[Gain]) -> list[str]:
    """Whether the leaves are better than those of a flat method, with and without a head."""
    told = []
    for kind in (ALONE, FLAT_TWIN):
        here = [g for g in own if g.level == LEAF and g.kind == kind]
        if here and (least := _least(here)).pair.decision != "better":
            what = f"the leaf classes of {least.method} are not shown to be better"
            told.append(f"{what} than those of {least.control} {_by(least)}")
    return told


def _least(gains: list[Gain]) -> Gain:
    of_accuracy = [g for g in gains if g.pair.score.metric == PRIMARY]
    return min(of_accuracy, key=lambda g: g.pair.patients.value)


def _by(gain: Gain) -> str:
    return f"(balanced accuracy, difference {_difference(gain)}; table controls)"


def _difference(gain: Gain) -> str:
    """``3.9 [0.8, 7.2], trained anew 3.9 [-13.5, 21.4]``: the second where there are folds."""
    d, r = gain.pair.patients, gain.pair.refits
    anew = f", trained anew {points(r.mean, r.low, r.high)}" if r.n > 1 else ""
    return f"{points(d.value, d.low, d.high)}{anew}"


def _shuffled(own: list[Gain]) -> list[str]:
    """Whether the leaves are better than those of a tree dealt out at random."""
    told = []
    for g in own:
        wanted = g.kind == SHUFFLED and g.pair.score.metric == PRIMARY
        if wanted and g.pair.decision != "better":
            told.append(
                f"that {g.method} owes its leaf classes to the hierarchy is not shown: with a "
                f"shuffled tree it loses {_difference(g)} of balanced accuracy"
            )
    return told


def _control(gain: Gain) -> str:
    """``the leaves of abmil, summed, which needs no such head``."""
    if gain.kind == ALONE:
        return f"that of {gain.control}"
    if gain.kind == "coarse only":
        what = f"{gain.control} trained on the {gain.level} classes alone"
    else:
        how = "decided for the least risk" if gain.kind.endswith("least risk") else "summed"
        own = gain.control == gain.method
        what = f"{'its own leaves' if own else f'the leaves of {gain.control}'}, {how}"
    return f"{what}, which needs no such head"


def _missing(own: list[Gain]) -> list[str]:
    method, kinds, lacking = own[0].method, {g.kind for g in own}, []
    if SHUFFLED not in kinds:
        lacking.append("none with a shuffled tree (a control of `mil-bench ablate`)")
    if "coarse only" not in kinds:
        lacking.append("none trained on upper classes alone (`mil-bench run --tree coarse`)")
    told = f"controls of {method} are missing among the runs: {' and '.join(lacking)}"
    return [told] if lacking else []
