"""What a board allows to be said, as sentences. None is written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED, Board
from mil_bench.boards.tables.pairs import Pair, compare_pairs
from mil_bench.evaluation.inference.ranks import ALPHA

_SHOWN = 3


def verdict_of(analysis: Analysis) -> str:
    """Who leads, whom it can be told from, and whether that survives training anew.

    The leader is compared with each other comparable row by balanced accuracy, with Holm's
    correction. ``better`` needs the test over patients and, where there are folds, the one over
    refits (:mod:`~mil_bench.boards.pairs`).
    """
    if analysis.refusal:
        return f"Nothing can be compared: {analysis.refusal.rstrip('.')}."
    if len(analysis.paired) < 2:
        alone = "".join(analysis.paired)
        why = f"{alone} stands alone" if alone else "no row has a result in every cell"
        return f"Nothing can be compared: {why}."
    leader, *others = analysis.paired
    pairs = compare_pairs(analysis, RANKED, [(leader, other) for other in others])
    near = [pair for pair in pairs if not pair.p_holm <= ALPHA]
    far = [pair for pair in pairs if pair.p_holm <= ALPHA]
    first = _tied(analysis, leader, near, far) if near else _ahead(analysis, leader, far)
    return " ".join(filter(None, [first, _anew(leader, far)]))


def listed(names: Sequence[str], shown: int = _SHOWN) -> str:
    """``a``, ``a and b``, ``a, b and 4 others``."""
    if len(names) > shown + 1:
        names = [*names[:shown], f"{len(names) - shown} others"]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def points(value: float, low: float, high: float) -> str:
    """``8.4 [4.7, 12.1]``: a difference of fractions, times 100; without an interval, ``8.4``."""
    if low != low:
        return f"{100 * value:.1f}"
    return f"{100 * value:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def _tied(analysis: Analysis, leader: str, near: Sequence[Pair], far: Sequence[Pair]) -> str:
    d = near[0].patients
    several = len(near) > 1
    many, smallest = len(near) + len(far), analysis.detectable(RANKED)
    seen = f", smallest detectable {100 * smallest:.1f}" if smallest == smallest else ""
    corrected = f" after correction for {many} comparisons" if d.p <= ALPHA else ""
    told = (
        f"{listed([leader, *(pair.b for pair in near)])} cannot be separated on "
        f"{_classes(analysis.board)} by balanced accuracy{corrected} (difference"
        f"{' of the first two' if several else ''} {points(d.value, d.low, d.high)}{seen})"
    )
    if far:
        told += f"; {listed([pair.b for pair in far])} {_is(far)} below {leader}"
    return f"{told}."


def _ahead(analysis: Analysis, leader: str, far: Sequence[Pair]) -> str:
    nearest = far[0]
    d = nearest.patients
    value = analysis.scores[leader][RANKED].value
    proved = all(pair.decision == "better" for pair in far)
    start = f"{leader} is better than" if proved else f"As trained here, {leader} is above"
    others = {1: nearest.b, 2: "both others"}.get(len(far), f"all {len(far)} others")
    next_one = "" if len(far) == 1 else f"{nearest.b} is next, "
    return (
        f"{start} {others} on {_classes(analysis.board)}: balanced accuracy "
        f"{100 * value:.1f}, {next_one}difference {points(d.value, d.low, d.high)}."
    )


def _anew(leader: str, far: Sequence[Pair]) -> str:
    """Whether what patients separate is a difference of methods or of these models alone."""
    if not far:
        return ""
    folds = far[0].refits.n
    if folds < 2:
        return (
            "This holds for these trained models: with one fold, nothing is known of models "
            "trained on other slides."
        )
    proved = [pair for pair in far if pair.p_both <= ALPHA]
    open_ones = [pair for pair in far if not pair.p_both <= ALPHA]
    if not open_ones:
        return f"So it is when trained anew: {folds} folds agree (p {_below(proved)})."
    r = open_ones[0].refits
    told = (
        f"over {folds} folds its difference to {open_ones[0].b} is {points(r.mean, r.low, r.high)}"
    )
    if proved:
        told = f"shown for {listed([pair.b for pair in proved])} alone; {told}"
    else:
        told = f"not shown; {told}"
    return f"That {leader} would stay above when trained anew is {told}."


def _classes(board: Board) -> str:
    deep = board.taxonomy is not None and board.taxonomy.depth > 1
    return f"{board.id.dataset} {'leaf classes' if deep else 'classes'}"


def _is(pairs: Sequence[Pair]) -> str:
    return "is" if len(pairs) == 1 else "are"


def _below(pairs: Sequence[Pair]) -> str:
    largest = max(pair.p_both for pair in pairs)
    return "< 0.001" if largest < 0.001 else f"<= {largest:.3f}"
