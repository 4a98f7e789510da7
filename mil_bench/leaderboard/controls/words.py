"""What the controls say about the first hierarchical method of a board."""

from __future__ import annotations

from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.controls.find import Gain, gains
from mil_bench.leaderboard.verdict import points
from mil_bench.taxonomy import LEAF


def hierarchy_caveats(analysis: Analysis) -> list[str]:
    """Heads and leaves that no control shows to be better, and controls that were never run.

    Of the highest comparable row with heads, by balanced accuracy; empty without one.
    """
    found = gains(analysis)
    own = [g for g in found if g.method == found[0].method]
    return [*_heads(own), *_shuffled(own), *_missing(own)] if own else []


def _heads(own: list[Gain]) -> list[str]:
    """Every upper level whose head is not better than all controls."""
    told = []
    for level in dict.fromkeys(g.level for g in own if g.level != LEAF):
        here = [g for g in own if g.level == level and g.pair.score.metric.endswith("_accuracy")]
        least = min(here, key=lambda g: g.pair.patients.value)
        if least.pair.decision != "better":
            d = least.pair.patients
            told.append(
                f"the {level} head of {least.method} is not shown to be better than "
                f"{_control(least)}, which needs no such head (balanced accuracy, difference "
                f"{points(d.value, d.low, d.high)}; table controls)"
            )
    return told


def _shuffled(own: list[Gain]) -> list[str]:
    """Whether the leaves are better than those of a tree dealt out at random."""
    told = []
    for g in own:
        wanted = g.level == LEAF and g.pair.score.metric.endswith("_accuracy")
        if wanted and g.pair.decision != "better":
            d, r = g.pair.patients, g.pair.refits
            anew = f", trained anew {points(r.mean, r.low, r.high)}" if r.n > 1 else ""
            told.append(
                f"that {g.method} owes its leaf classes to the hierarchy is not shown: with a "
                f"shuffled tree it loses {points(d.value, d.low, d.high)} of balanced "
                f"accuracy{anew}"
            )
    return told


def _control(gain: Gain) -> str:
    """``the leaves of abmil, summed``."""
    if gain.kind == "coarse only":
        return f"{gain.control} trained on the {gain.level} classes alone"
    how = "decided for the least risk" if gain.kind.endswith("least risk") else "summed"
    whose = "its own leaves" if gain.control == gain.method else f"the leaves of {gain.control}"
    return f"{whose}, {how}"


def _missing(own: list[Gain]) -> list[str]:
    method, kinds = own[0].method, {g.kind for g in own}
    lacking = []
    if "shuffled tree" not in kinds:
        lacking.append("none with a shuffled tree (a control of `mil-bench ablate`)")
    if "coarse only" not in kinds:
        lacking.append("none trained on upper classes alone (`mil-bench run --tree coarse`)")
    if not lacking:
        return []
    return [f"controls of {method} are missing among the runs: {' and '.join(lacking)}"]
