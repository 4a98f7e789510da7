"""Every score of one set of predictions in every replicate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import LEAF
from mil_bench.evaluation.confusion import OneVsRest, decision_scores, grade_scores, is_ordered
from mil_bench.evaluation.hierarchical import GAINS, LEVEL_METRICS, leaf_decisions, tree_ratios
from mil_bench.evaluation.inference.resampling import Weights
from mil_bench.evaluation.inference.weighted import (
    calibration_errors,
    confusion_matrices,
    weighted_ratios,
)
from mil_bench.evaluation.overall import Source, level_probabilities, probability_ratios
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.ranking import auc_and_precision
from mil_bench.evaluation.sums import means_defined

Draws = NDArray[np.float64]
RATES = ("sensitivity", "specificity", "ppv", "npv", "f1")


class Score(NamedTuple):
    """Which number: of all slides (``macro_auc``, ``coarse_summed_accuracy``) or of one class."""

    metric: str
    level: str = ""
    source: str = ""
    name: str = ""


@dataclass(frozen=True)
class _Level:
    """Draws of one level from one source: scores of all slides, and of classes ``(B, K)``."""

    scores: dict[str, Draws]
    classes: dict[str, Draws]


def score_draws(p: Predictions, weights: Weights) -> dict[Score, Draws]:
    """``(B,)`` values of every score that ``scores.Scores`` has, for slide weights ``(n, B)``.

    Weights of 1 give the scores themselves. ``nan`` where a replicate leaves a score undefined.
    Counts (support, patients) are no scores.
    """
    tree = p.taxonomy
    found = {
        (level, source): _level(p, level, source, weights)
        for level in tree.levels
        for source in _sources(p, level)
    }
    named = dict(found[LEAF, "direct"].scores)
    if tree.depth > 1:
        named |= weighted_ratios(tree_ratios(p), weights)
        named |= {f"{LEAF}_{m}": named[m] for m in LEVEL_METRICS}
    for level in tree.levels[:-1]:
        for source in _sources(p, level):
            values = found[level, source].scores
            named |= {f"{level}_{source}_{m}": values[m] for m in LEVEL_METRICS}
        if level in p.heads:
            direct, summed = (found[level, s].scores for s in ("direct", "summed"))
            named |= {f"{level}_gain_{m}": direct[m] - summed[m] for m in GAINS}
    for (level, rule), decided in (leaf_decisions(p) if tree.depth > 1 else {}).items():
        values = _decided(p, level, decided, weights)
        named |= {f"{level}_{rule}_{m}": draws for m, draws in values.items()}
    classes = {
        Score(metric, level, source, name): values[:, k]
        for (level, source), part in found.items()
        for metric, values in part.classes.items()
        for k, name in enumerate(tree.classes[level])
    }
    return {Score(name): values for name, values in named.items()} | classes


def _sources(p: Predictions, level: str) -> tuple[Source, ...]:
    if level == LEAF:
        return ("direct",)
    return ("summed", "direct") if level in p.heads else ("summed",)


def _level(p: Predictions, level: str, source: Source, weights: Weights) -> _Level:
    truth, probs = p.truth(level), level_probabilities(p, level, source)
    size, ordered = probs.shape[1], is_ordered(p.taxonomy, level)
    matrices = confusion_matrices(truth, probs.argmax(1), size, weights)
    ranked = [auc_and_precision(truth == k, probs[:, k], weights) for k in range(size)]
    auc, ap = (np.stack(values, axis=1) for values in zip(*ranked, strict=True))
    counts = OneVsRest.of(matrices)
    scores = decision_scores(matrices) | (grade_scores(matrices) if ordered else {})
    scores |= weighted_ratios(probability_ratios(truth, probs, ordered), weights)
    scores["macro_auc"] = means_defined(auc)
    scores["ece"] = calibration_errors(truth, probs, weights)
    rates = {name: getattr(counts, name) for name in RATES}
    return _Level(scores, {"auc": auc, "ap": ap, **rates})


def _decided(
    p: Predictions, level: str, decided: NDArray[np.int64], weights: Weights
) -> dict[str, Draws]:
    """Scores of decisions that follow from a leaf."""
    size = len(p.taxonomy.classes[level])
    scores = decision_scores(confusion_matrices(p.truth(level), decided, size, weights))
    return {m: scores[m] for m in ("accuracy", "balanced_accuracy")}
