"""What the controls say about the first hierarchical row of a board."""

from __future__ import annotations

from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.controls.find import Gain, gains
from mil_bench.leaderboard.controls.kinds import ALONE, FLAT_TWIN
from mil_bench.leaderboard.roles import SHUFFLED
from mil_bench.leaderboard.verdict import points
from mil_bench.taxonomy import LEAF


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
    of_accuracy = [g for g in gains if g.pair.score.metric.endswith("_accuracy")]
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
        wanted = g.kind == SHUFFLED and g.pair.score.metric.endswith("_accuracy")
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
