"""Intervals of class rates of 0 or 1, where patients drawn anew see no spread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from mil_bench.evaluation.inference.proportions import effective_size, wilson
from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.overall import Source, level_probabilities
from mil_bench.evaluation.predictions import Predictions
from mil_bench.leaderboard.board import Cell
from mil_bench.leaderboard.tables.table import NAN


def boundary_interval(
    cells: Mapping[Cell, Predictions], score: Score, share: float
) -> tuple[float, float]:
    """Wilson's interval for a rate of one class; ``nan`` for scores that are no such rate.

    It rests on the slides that the rate is a share of, as few as their patients make them. Slides
    of several folds add up; of several seeds, the one with the fewest counts.
    """
    by_seed: dict[int, list[NDArray[np.str_]]] = {}
    for (seed, _), p in cells.items():
        asked = _asked(p, score)
        if asked is None:
            return NAN, NAN
        by_seed.setdefault(seed, []).append(p.groups[asked])
    return wilson(share, min(map(_size, by_seed.values())))


def _size(groups: Iterable[NDArray[np.str_]]) -> float:
    return effective_size(np.concatenate(list(groups)))


def _asked(p: Predictions, score: Score) -> NDArray[np.bool_] | None:
    """The slides that a rate is a share of."""
    if not score.name or score.source not in ("summed", "direct"):
        return None
    k = p.taxonomy.classes[score.level].index(score.name)
    source: Source = "direct" if score.source == "direct" else "summed"
    truth = p.truth(score.level) == k
    decided = level_probabilities(p, score.level, source).argmax(1) == k
    shares = {"sensitivity": truth, "specificity": ~truth, "ppv": decided, "npv": ~decided}
    return shares.get(score.metric)
