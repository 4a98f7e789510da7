"""Ranks and tiers of methods, and how much resampling patients changes them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mil_bench.evaluation.inference.draws import CONFIDENCE, Replicated
from mil_bench.evaluation.inference.formulas import holm

Better = Literal[1, -1]
ALPHA = 0.05


@dataclass(frozen=True)
class Rank:
    """Rank of a method (1 is best, equals share the better one) with its 95 % interval.

    ``first`` is the share of replicates in which no method is better.
    """

    rank: int
    low: int
    high: int
    first: float


def rank_intervals(scores: Mapping[str, Replicated], better: Better) -> dict[str, Rank]:
    """Rank methods with intervals (Wiesenfarth et al., Scientific Reports 11:2369, 2021).

    All scores must come from the same draws. Methods whose score is undefined have no rank;
    replicates that leave a ranked method's score undefined do not count.
    """
    ranked = {name: s for name, s in scores.items() if len(s.defined)}  # nan would be ranked last
    if not ranked:
        return {}
    values = np.array([s.value for s in ranked.values()])
    ranks = _draws(ranked, better)
    tail = (1 - CONFIDENCE) / 2
    # Ranks that occur, not between two.
    low, high = np.quantile(ranks, [tail, 1 - tail], axis=1, method="inverted_cdf")
    # Equals share the better rank.
    columns = zip(ranked, _ranks(values, better), low, high, (ranks == 1).mean(1), strict=True)
    return {name: Rank(int(r), int(a), int(b), float(f)) for name, r, a, b, f in columns}


def rank_agreement(scores: Mapping[str, Replicated], better: Better) -> float:
    """Return the mean Kendall tau-a of the ranking and those of replicates: 1 if nothing changes.

    ``nan`` with fewer than two ranked methods.
    """
    ranked = {name: s for name, s in scores.items() if len(s.defined)}
    pairs = list(itertools.combinations(range(len(ranked)), 2))
    if not pairs:
        return float("nan")
    ranks = _draws(ranked, better)
    rank = _ranks(np.array([s.value for s in ranked.values()]), better)
    return float(
        # tau-a: ties count 0.
        np.mean([np.sign(rank[i] - rank[j]) * np.sign(ranks[i] - ranks[j]) for i, j in pairs])
    )


def _draws(scores: Mapping[str, Replicated], better: Better) -> NDArray[np.int64]:
    """``(methods, B)`` ranks in the replicates that define all scores."""
    draws = np.stack([s.draws for s in scores.values()])
    return _ranks(draws[:, ~np.isnan(draws).any(0)], better)  # replicates that define all scores


def _ranks(values: NDArray[np.float64], better: Better) -> NDArray[np.int64]:
    """Ranks along the first axis; differences below 1e-9 are none."""
    # Better 1: the highest value is rank 1.
    ranks: NDArray[np.float64] = rankdata(np.round(-better * values, 9), method="min", axis=0)
    return ranks.astype(np.int64)


def tiers(
    values: Mapping[str, float],
    p_value: Callable[[str, str], float],
    better: Better,
    alpha: float = ALPHA,
) -> list[tuple[str, ...]]:
    """Group methods from the best, each group in order of value, its leader first.

    Group 1 is the best method and all that are not significantly different from it by ``p_value``
    (leader, other) after Holm's correction over those others. Group 2 is formed from the rest in
    the same way. A p that is ``nan`` separates nothing. Methods without a value are in no group.

    A group holds the methods not significantly different from its leader. A method may be in it
    while one with a slightly better, more precise value is not.
    """
    # v == v: not nan.
    left = sorted((n for n, v in values.items() if v == v), key=lambda n: -better * values[n])
    groups: list[tuple[str, ...]] = []
    while left:
        leader, *others = left
        # The tests of one tier are one family.
        adjusted = dict(zip(others, holm([p_value(leader, o) for o in others]), strict=True))
        behind = [name for name in others if adjusted[name] <= alpha]
        groups.append((leader, *(name for name in others if name not in behind)))
        left = behind
    return groups


def bootstrap_tiers(
    scores: Mapping[str, Replicated], better: Better, alpha: float = ALPHA
) -> list[tuple[str, ...]]:
    """Group methods by the paired bootstrap; ``scores`` come from the same draws of patients."""
    values = {name: score.value for name, score in scores.items()}
    return tiers(values, lambda a, b: (scores[a] - scores[b]).p, better, alpha)
