"""Is it the hierarchy? What a hierarchical row must beat, and its gains: found by content.

A control is what comes without a head of upper levels: leaves summed or decided for the least risk,
a flat method with a head, a method trained on coarse classes or with a shuffled tree.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from mil_bench.base.finding import Note
from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import Analysis, with_interval
from mil_bench.boards.board import RANKED, BoardRow
from mil_bench.boards.roles import SHUFFLED
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.pairs import (
    DIFFERENCE,
    Pair,
    Side,
    corrected,
    difference_cells,
    pair_of,
)
from mil_bench.boards.tables.table import Cell, Row, Table
from mil_bench.contract.variants import settings
from mil_bench.evaluation.metrics import PRIMARY, Score

HARDEST = 3
"""Flat methods that a hierarchical one is compared with: those with the highest score."""
METRICS = (PRIMARY, "macro_auc")

_OF_TREE = ("tree", "tree_seed", "trained_tree")
_OF_HEAD = ("head", "hxe_alpha", "soft_beta")
KEYS = ("method", "level", "score", "control", "other")
SHOWN = (*KEYS[:2], *KEYS[3:], "difference", "p_holm", "refits", "p_refits", "decision")
NOTE = (
    "Difference: the method's own head minus the control. own leaves: leaf probabilities of the "
    f"method itself, flat: of the {HARDEST} flat methods with the highest score, summed under each "
    "class or decided for the least risk (CRM). head alone: a flat method with a hierarchical "
    "head. without the head: the method of such a row without it. coarse only: trained with "
    "`mil-bench run --tree coarse`. shuffled tree: trained with leaves assigned to parents at "
    "random; a gain that survives it is not due to the hierarchy. Holm's correction is over the "
    "controls of a head"
)

ControlKind = Literal[
    "own leaves", "flat", "head alone", "without the head", "coarse only", "shuffled tree"
]
LevelRule = Literal["", "summed", "least risk"]


def controls_table(analysis: Analysis) -> Table | None:
    """Return what heads gain over every control; ``None`` without heads of upper levels."""
    rows = tuple(_row(analysis, gain) for gain in gains(analysis))
    if not rows:
        return None
    every = columns(*KEYS, *DIFFERENCE, table="controls")
    return Table("controls", "Is it the hierarchy?", every, rows, KEYS, SHOWN, NOTE, (RANKED,))


def _row(analysis: Analysis, gain: Gain) -> Row:
    metric = gain.pair.score.metric
    who: dict[str, Cell] = {
        "method": gain.method,
        "level": gain.level,
        "score": metric,
        "control": str(gain.control),
        "other": gain.other,
    }
    return Row(gain.method, who | difference_cells(analysis, gain.pair), Score(metric))


@dataclass(frozen=True)
class Control:
    """The kinds of controls, and how their upper levels follow from leaves."""

    kind: ControlKind
    rule: LevelRule = ""

    def __str__(self) -> str:
        """``own leaves, summed``."""
        return f"{self.kind}, {self.rule}" if self.rule else self.kind


@dataclass(frozen=True)
class Gain:
    """What the direct head of the row ``method`` has over one ``control`` at a level.

    ``other`` is the label of the control's row.
    """

    method: str
    level: str
    control: Control
    other: str
    pair: Pair


def gains(analysis: Analysis) -> list[Gain]:
    """Compare every comparable hierarchical row with each of its controls, metric by metric.

    Holm's correction is over the controls of a row at a level, for one metric.
    """
    if analysis.board.taxonomy is None:
        return []
    rows = {row.label: row for row in analysis.board.rows}
    return [
        gain
        for label in analysis.paired
        if rows[label].hierarchical
        for level in analysis.board.taxonomy.levels
        for metric in METRICS
        for gain in _of_head(analysis, rows[label], level, metric)
    ]


def _of_head(analysis: Analysis, row: BoardRow, level: str, metric: str) -> list[Gain]:
    score = Score(metric, level)
    if score not in analysis.scores[row.label]:  # the row has no head for this level
        return []
    own = Side.of(row, score, analysis.scores[row.label][score])
    sides = list(_controls_of(analysis, row, level, metric))
    # Holm over the controls of this head.
    pairs = corrected([pair_of(score, own, side) for _, side in sides])
    return [
        Gain(row.label, level, control, side.label, pair)
        for (control, side), pair in zip(sides, pairs, strict=True)
    ]


def _controls_of(
    analysis: Analysis, row: BoardRow, level: str, metric: str
) -> Iterator[tuple[Control, Side]]:
    """A flat method with a hierarchical head against itself without; any other against more."""
    of_row = _of_headed if row.headed else _of_method
    yield from of_row(analysis, row, level, metric)


def _of_headed(
    analysis: Analysis, row: BoardRow, level: str, metric: str
) -> Iterator[tuple[Control, Side]]:
    flat = [r for r in analysis.comparable if not r.headed and _alike(row, r, _OF_HEAD)]
    yield from _flat("without the head", analysis, flat, level, metric)


def _of_method(
    analysis: Analysis, row: BoardRow, level: str, metric: str
) -> Iterator[tuple[Control, Side]]:
    """The row's own leaves, flat rows, heads alone, shuffled trees, twins; no flat leaves.

    An upper head that was trained with shuffled classes decides something else, so of such a row
    the leaves are summed.
    """
    rows = [r for r in analysis.comparable if not r.control]
    if level != LEAF:
        flat = [r for r in rows if not r.hierarchical]
        yield from _flat("own leaves", analysis, [row], level, metric)
        yield from _flat("flat", analysis, flat, level, metric)
    for side in _sides(analysis, [r for r in rows if r.headed], Score(metric, level)):
        yield Control("head alone"), side
    shuffled = [r for r in analysis.comparable if r.control and _alike(row, r, _OF_TREE)]
    # A leaf needs no sum; upper classes are shuffled.
    rule: LevelRule = "" if level == LEAF else "summed"
    for side in _sides(analysis, shuffled, Score(metric, level, rule or "direct")):
        yield Control(SHUFFLED, rule), side
    for (at, twin), drawn in zip(analysis.board.twins, analysis.twins, strict=True):
        if at == level:
            yield Control("coarse only"), Side.of(twin, Score(metric), drawn[Score(metric)])


def _flat(
    kind: ControlKind, analysis: Analysis, rows: list[BoardRow], level: str, metric: str
) -> Iterator[tuple[Control, Side]]:
    """What comes without a head: the leaves, summed, or decided for the least risk."""
    if level == LEAF:
        for side in _hardest(analysis, rows, Score(metric)):
            yield Control(kind), side
        return
    rules: tuple[tuple[str, LevelRule], ...] = (("summed", "summed"), ("crm", "least risk"))
    for source, rule in rules:
        for side in _hardest(analysis, rows, Score(metric, level, source)):
            yield Control(kind, rule), side


def _hardest(analysis: Analysis, rows: list[BoardRow], score: Score) -> list[Side]:
    scored = [r for r in rows if score in analysis.scores[r.label]]
    # The highest are the hardest to beat.
    scored.sort(key=lambda r: analysis.scores[r.label][score].value, reverse=True)
    return _sides(analysis, scored[:HARDEST], score)


def _sides(analysis: Analysis, rows: list[BoardRow], score: Score) -> list[Side]:
    drawn = {r.label: analysis.scores[r.label].get(score) for r in rows}
    return [Side.of(r, score, own) for r in rows if (own := drawn[r.label]) is not None]


def _alike(row: BoardRow, other: BoardRow, but: tuple[str, ...]) -> bool:
    """Whether two rows are one method, in settings that differ in nothing ``but`` these."""
    # Same method, settings and trainer but these.
    return row.method == other.method and _without(row, but) == _without(other, but)


def _without(row: BoardRow, names: tuple[str, ...]) -> dict[str, str]:
    spec = next(r.spec for r in row.done.values() if r.spec is not None)
    return {k: v for k, v in settings(spec).items() if k not in names}


def hierarchy_notes(analysis: Analysis) -> list[Note]:
    """Note the heads and leaves that are not better than a control, and controls without runs.

    They are of the highest comparable row with heads, by balanced accuracy; without one, of the
    highest flat method with a hierarchical head. Empty without either.
    """
    every = [g for g in gains(analysis) if g.pair.score.metric == PRIMARY]
    if not every:
        return []
    # Rows with their own heads come first.
    whole = [g for g in every if g.control.kind != "without the head"]
    own = [g for g in every if g.method == (whole or every)[0].method]
    sentences = [*_heads(own), *_leaves(own), *_shuffled(own), *(_missing(own) if whole else ())]
    return [Note("hierarchy", sentence) for sentence in sentences]


def _heads(own: list[Gain]) -> Iterator[str]:
    """Every upper level whose head is not better than all controls."""
    for level in dict.fromkeys(g.level for g in own if g.level != LEAF):
        least = _least([g for g in own if g.level == level])
        yield from _unless_better(f"{least.method}'s {level} head is", _words(least), least)


def _leaves(own: list[Gain]) -> Iterator[str]:
    """Whether the leaves are better than those of a flat method, with and without a head."""
    for kind in ("head alone", "without the head"):
        gains = [g for g in own if g.level == LEAF and g.control.kind == kind]
        if gains:
            least = _least(gains)
            what = f"{least.method}'s leaf decisions are"
            yield from _unless_better(what, f"those of {least.other}", least)


def _shuffled(own: list[Gain]) -> Iterator[str]:
    """Whether the leaves are better than those of a tree with leaves under random parents."""
    for gain in own:
        if gain.control == Control(SHUFFLED):
            what = f"{gain.method}'s leaf decisions are"
            yield from _unless_better(what, "those with a shuffled tree", gain)


def _least(gains: list[Gain]) -> Gain:
    return min(gains, key=lambda g: g.pair.patients.value)  # the control that is beaten least


def _unless_better(what: str, control: str, gain: Gain) -> Iterator[str]:
    """``hmil's coarse head is worse than ... by 46.9 points (95 % CI 39.7 to 53.0)``."""
    d, r, by = gain.pair.patients, gain.pair.refits, "of balanced accuracy"
    again = ""
    if r.n > 1 and r.low == r.low:  # r.low == r.low: defined
        again = f"; over {r.n} folds the difference is {with_interval(r.mean, r.low, r.high)}"
    behind = with_interval(-d.value, -d.high, -d.low, "points")
    difference = f"difference {with_interval(d.value, d.low, d.high, 'points')} {by}{again}"
    match gain.pair.decision:
        case "worse":
            yield f"{what} worse than {control} by {behind} {by}"
        case "worse as trained":
            doubt = f"but retraining does not confirm it{again}"
            yield f"{what} worse than {control} by {behind} {by}, {doubt}"
        case "better as trained":
            yield (
                f"{what} better than {control} as trained, but retraining does not confirm it "
                f"({difference})"
            )
        case "not separable":
            yield f"{what} not significantly different from {control} ({difference})"


def _words(gain: Gain) -> str:
    """``the summed leaves of abmil, which need no such head``."""
    match gain.control.kind:
        case "head alone":
            return f"that of {gain.other}"
        case "coarse only":
            return f"{gain.other} trained on the {gain.level} classes only"
    leaves = "its own leaves" if gain.other == gain.method else f"the leaves of {gain.other}"
    rule = "decided for the least risk" if gain.control.rule == "least risk" else "summed"
    return f"{leaves} ({rule})"


def _missing(own: list[Gain]) -> Iterator[str]:
    method, kinds, missing = own[0].method, {g.control.kind for g in own}, []
    if Control(SHUFFLED) not in {g.control for g in own}:
        missing.append("a shuffled tree (a control of `mil-bench ablate`)")
    if "coarse only" not in kinds:
        missing.append("training on upper classes only (`mil-bench run --tree coarse`)")
    if missing:
        yield f"controls of {method} without runs: {' and '.join(missing)}"
