"""What a board allows to be said, as sentences. None is written by hand."""

from __future__ import annotations

from collections.abc import Sequence

from mil_bench.base.errors import listed
from mil_bench.boards.analysis import Analysis, with_interval
from mil_bench.boards.board import RANKED, Board
from mil_bench.boards.tables.pairs import Pair, compare_pairs
from mil_bench.evaluation.inference.ranks import ALPHA


def verdict_of(analysis: Analysis) -> str:
    """Say who leads, over whom significantly, and whether retraining confirms it.

    The leader is compared with each other comparable row by balanced accuracy, with Holm's
    correction. ``better`` needs the test over patients and, where there are folds, the one over
    retraining (:mod:`~mil_bench.boards.tables.pairs`).
    """
    if analysis.refusal:
        return f"Nothing can be compared: {analysis.refusal.rstrip('.')}."
    if len(analysis.paired) < 2:
        alone = "".join(analysis.paired)
        # The only comparable row, or none.
        why = f"{alone} is the only row" if alone else "no row has a result in every cell"
        return f"Nothing can be compared: {why}."
    leader, *others = analysis.paired
    pairs = compare_pairs(analysis, RANKED, [(leader, other) for other in others])
    # Not <=: an undefined p (nan) is near.
    near = [pair for pair in pairs if not pair.p_holm <= ALPHA]
    far = [pair for pair in pairs if pair.p_holm <= ALPHA]
    if near:
        return " ".join(filter(None, [_tied(analysis, leader, near, far), _retrained(far)]))
    return f"{_ahead(analysis, leader, far)} {_retrained(far)}"


def detectable_points(analysis: Analysis) -> str:
    """Return the smallest detectable difference in points; empty where it cannot be computed."""
    points = 100 * analysis.detectable(RANKED)
    return f"{points:.1f}" if points >= 0.05 else ""


def _tied(analysis: Analysis, leader: str, near: Sequence[Pair], far: Sequence[Pair]) -> str:
    d = near[0].patients
    several = len(near) > 1
    corrected = ""
    if d.p <= ALPHA:
        corrected = f" after correction for {len(near) + len(far)} comparisons"
    smallest = detectable_points(analysis)
    seen = f"; smallest detectable difference {smallest}" if smallest else ""
    where = f"on {_classes(analysis.board)}"
    start = (
        f"{leader} is not significantly different from {listed([pair.b for pair in near])} {where}"
        if several
        else f"{leader} and {near[0].b} are not significantly different {where}"
    )
    which = f"difference to {near[0].b}" if several else "difference"
    difference = with_interval(d.value, d.low, d.high)
    sentence = f"{start}{corrected} (balanced accuracy, {which} {difference}{seen})"
    if far:
        verb = "is" if len(far) == 1 else "are"
        sentence += f"; {listed([pair.b for pair in far])} {verb} below {leader}"
    return f"{sentence}."


def _ahead(analysis: Analysis, leader: str, far: Sequence[Pair]) -> str:
    nearest = far[0]
    d = nearest.patients
    value = f"{100 * analysis.scores[leader][RANKED].value:.1f}"
    where = f"on {_classes(analysis.board)}"
    others = {1: nearest.b, 2: "both others"}.get(len(far), f"all {len(far)} others")
    interval = f"95 % CI of the difference {100 * d.low:z.1f} to {100 * d.high:z.1f}"
    by = f"{100 * d.value:z.1f} points of balanced accuracy ({value}; {interval})"
    next_one = "" if len(far) == 1 else f", the next ({nearest.b})"
    if all(pair.decision == "better" for pair in far):
        return f"{leader} is better than {others} {where}{next_one} by {by}."
    return f"These trained {leader} models beat {others} {where}{next_one} by {by}."


def _retrained(far: Sequence[Pair]) -> str:
    """Whether retraining confirms what is significant over patients."""
    if not far:
        return ""
    folds = far[0].refits.n
    if folds < 2:  # nothing to estimate a variance over refits from
        return "With one fold, retraining cannot be assessed."
    if far[0].refits.error != far[0].refits.error:
        return "Retraining cannot be assessed: the sizes of the training sets are unknown."
    confirmed = [pair for pair in far if pair.p_both <= ALPHA]
    unconfirmed = [pair for pair in far if not pair.p_both <= ALPHA]
    if not unconfirmed:
        agree = all(pair.folds_agree for pair in confirmed)
        how = f": all {folds} folds agree" if agree else f" over {folds} folds"
        return f"Retraining confirms this{how} (p {_below(confirmed)})."
    r = unconfirmed[0].refits
    difference = f"{100 * r.mean:z.1f}"
    if r.low == r.low:  # a variance needs defined differences
        corrected = ""
        if r.low > 0 or r.high < 0:  # significant before the correction: say what decides
            corrected = f"; p = {unconfirmed[0].p_both:.3f} after correction"
        difference += f" ({100 * r.low:z.1f} to {100 * r.high:z.1f}{corrected})"
    if confirmed:
        return (
            f"Retraining confirms this for {listed([pair.b for pair in confirmed])} only: over "
            f"{folds} folds the difference to {unconfirmed[0].b} is {difference}."
        )
    to = f" to {unconfirmed[0].b}" if len(far) > 1 else ""
    return f"Retraining does not confirm it: over {folds} folds the difference{to} is {difference}."


def _classes(board: Board) -> str:
    if not board.id.dataset:
        return "the classes of these files"
    deep = board.taxonomy is not None and board.taxonomy.depth > 1
    return f"{board.id.dataset} {'leaf classes' if deep else 'classes'}"


def _below(pairs: Sequence[Pair]) -> str:
    largest = max(pair.p_both for pair in pairs)  # the largest p holds for all of them
    return "< 0.001" if largest < 0.001 else f"<= {largest:.3f}"
