"""Groups of methods that cannot be told apart from the best of their group."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.inference.holm import holm
from mil_bench.evaluation.inference.ranks import Better

ALPHA = 0.05


def tiers(
    values: Mapping[str, float],
    p_value: Callable[[str, str], float],
    better: Better,
    alpha: float = ALPHA,
) -> list[tuple[str, ...]]:
    """Groups from the best, each in order of value, its leader first.

    Group 1 is the best method and all that ``p_value`` (leader, other) cannot separate from it
    after Holm's correction over those others; group 2 is made of the rest in the same way. A p that
    is ``nan`` separates nothing. Methods with an undefined value are in no group.

    A group holds what cannot be separated from its leader, so a method may stand in it while one
    of slightly better value, measured more exactly, does not.
    """
    left = sorted((n for n, v in values.items() if v == v), key=lambda n: -better * values[n])
    found = []
    while left:
        leader, *others = left
        adjusted = dict(zip(others, holm([p_value(leader, o) for o in others]), strict=True))
        behind = [name for name in others if adjusted[name] <= alpha]
        found.append((leader, *(name for name in others if name not in behind)))
        left = behind
    return found


def bootstrap_tiers(
    scores: Mapping[str, Replicated], better: Better, alpha: float = ALPHA
) -> list[tuple[str, ...]]:
    """Groups by the paired bootstrap: ``scores`` must come from the same draws of patients."""
    values = {name: score.value for name, score in scores.items()}
    return tiers(values, lambda a, b: (scores[a] - scores[b]).p, better, alpha)
