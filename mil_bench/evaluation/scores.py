"""Every score of a set of predictions: one engine for values and their bootstrap replicates.

A replicate weighs the slides; the scores themselves are the replicate in which every slide weighs
1. So a number on a board and its interval come from the same lines.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.calibration import probability_scores
from mil_bench.evaluation.confusion import (
    class_rates,
    confusion_matrices,
    decision_scores,
    is_ordered,
)
from mil_bench.evaluation.hierarchical import leaf_decisions, tree_ratios
from mil_bench.evaluation.metrics import CLASS_METRICS, METRICS, Score
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.ranking import ranking_scores
from mil_bench.evaluation.sums import Draws, Weights, means_defined, ones, weighted_ratios


@dataclass(frozen=True)
class Scores:
    """All scores of one set of predictions, with the slides and patients (groups) behind them.

    ``support`` counts the slides and the patients of every class, by ``(level, class)``. Where
    patients are not known, every slide is a group.
    """

    values: Mapping[Score, float]
    support: Mapping[tuple[str, str], tuple[int, int]]
    slides: frozenset[str]
    groups: frozenset[str]
    patients_known: bool = True

    @classmethod
    def of(cls, p: Predictions) -> Scores:
        """Score ``p`` at every level."""
        draws = score_draws(p, ones(len(p)))  # one column: the sample itself
        return cls(
            {score: float(values[0]) for score, values in draws.items()},
            _support(p),
            frozenset(p.slide_ids.tolist()),
            frozenset(p.groups.tolist()),
            p.patients_known,
        )

    @property
    def by_name(self) -> dict[str, float]:
        """Return the scores of all slides by the names of their columns."""
        return {str(score): value for score, value in self.values.items() if not score.name}


def score_draws(p: Predictions, weights: Weights) -> dict[Score, Draws]:
    """Compute every score of ``p`` for slide weights ``(n, B)``: ``(B,)`` values each.

    ``nan`` where a replicate leaves a score undefined. Leaves come first, then upper levels from
    the top, decisions that follow from a leaf, the whole tree.
    """
    tree, draws = p.taxonomy, dict[Score, Draws]()
    for level in (LEAF, *tree.levels[:-1]):  # in the order of the columns of a board
        for source in p.sources(level):
            draws |= _level(p, level, source, weights)
        if level != LEAF and level in p.heads:  # a gain needs both sources
            draws |= _gains(draws, level)
    if tree.depth > 1:
        draws |= _decided_by_leaves(p, weights)
        ratios = weighted_ratios(tree_ratios(p), weights)
        draws |= {Score.of_tree(metric): values for metric, values in ratios.items()}
    return draws


def leaf_scores(p: Predictions) -> dict[str, float]:
    """Score the leaf level alone, by metric: what training watches after every epoch."""
    draws = _level(p, LEAF, "direct", ones(len(p)))
    return {score.metric: float(v[0]) for score, v in draws.items() if not score.name}


def scores_by_name(tree: Taxonomy) -> dict[str, Score]:
    """Return the scores of all slides that a method with a head for every level has, by name."""
    names = np.array(tree.leaves)
    heads = {
        level: np.full((len(names), len(classes)), 1 / len(classes))
        for level, classes in tree.classes.items()
    }
    # Any predictions with all heads have all scores: names without a second list.
    p = Predictions(tree, names, names, np.arange(len(names)), heads)
    return {str(score): score for score in score_draws(p, ones(len(p))) if not score.name}


def _level(p: Predictions, level: str, source: str, weights: Weights) -> dict[Score, Draws]:
    """Scores of one level from one source: of all slides, then class by class."""
    truth, probs = p.truth(level), p.probabilities(level, source)
    ordered, size = is_ordered(p.taxonomy, level), probs.shape[1]
    matrices = confusion_matrices(truth, probs.argmax(1), size, weights)  # (B, K, K)
    by_class, scores = class_rates(matrices), decision_scores(matrices, ordered)
    if p.ranked:
        ranked = [ranking_scores(truth == k, probs[:, k], weights) for k in range(size)]
        by_class |= {
            # (B, K)
            metric: np.stack([of_class[metric] for of_class in ranked], axis=1)
            for metric in ranked[0]
        }
        scores |= probability_scores(truth, probs, ordered, weights)
        scores |= {
            f"macro_{metric}": means_defined(by_class[metric])
            for metric in ranked[0]
            if f"macro_{metric}" in METRICS
        }
    # In the order of the table of metrics.
    named = {Score(m, level, source): scores[m] for m in METRICS if m in scores}
    return named | {
        Score(metric, level, source, name): by_class[metric][:, k]
        for k, name in enumerate(p.taxonomy.classes[level])
        for metric in CLASS_METRICS
        if metric in by_class
    }


def _gains(draws: Mapping[Score, Draws], level: str) -> dict[Score, Draws]:
    """What a level's own head has over the sum of leaves."""
    return {
        Score(m.name, level, "gain"): draws[Score(m.name, level, "direct")]
        - draws[Score(m.name, level, "summed")]
        for m in METRICS.values()
        if m.compared
    }


def _decided_by_leaves(p: Predictions, weights: Weights) -> dict[Score, Draws]:
    """Scores of the classes that a decided leaf stands under."""
    draws: dict[Score, Draws] = {}
    for (level, source), decision in leaf_decisions(p).items():
        size = len(p.taxonomy.classes[level])
        scores = decision_scores(confusion_matrices(p.truth(level), decision, size, weights))
        # Few: only those that boards compare.
        draws |= {Score(m, level, source): v for m, v in scores.items() if METRICS[m].compared}
    return draws


def _support(p: Predictions) -> dict[tuple[str, str], tuple[int, int]]:
    """``(level, class)`` -> its slides and their patients."""
    return {
        (level, name): (int(of_class.sum()), len(np.unique(p.groups[of_class])))
        for level in p.taxonomy.levels
        for name, of_class in _members(p, level)
    }


def _members(p: Predictions, level: str) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    truth = p.truth(level)
    for k, name in enumerate(p.taxonomy.classes[level]):
        yield name, truth == k
