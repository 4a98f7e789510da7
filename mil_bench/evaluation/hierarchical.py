"""Scores that know the tree: levels, distances of mistakes, and consistency of heads.

Four coarse decisions are told apart: ``direct`` (the level's own head), ``summed`` (the class with
the largest sum of leaf probabilities, optimal for 0-1 loss), ``path`` (the ancestor of the decided
leaf) and ``crm`` (that of the leaf of least risk). Set and distance measures use the path.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import LEAF
from mil_bench.evaluation.confusion import accuracy, balanced_accuracy, confusion_matrix
from mil_bench.evaluation.overall import level_scores
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.sums import SlideRatio, scored

LEVEL_METRICS = ("accuracy", "balanced_accuracy", "macro_auc", "macro_f1", "brier", "ece")
GAINS = ("accuracy", "balanced_accuracy", "macro_auc")


def hierarchical_scores(p: Predictions) -> dict[str, float]:
    """All hierarchical scores by name; empty for a tree of one level.

    Names of levels are prefixes: ``coarse_summed_accuracy``, ``level2_path_accuracy``. Scores of
    direct heads (``coarse_direct_...``, ``coarse_gain_...``) are absent when the method has none.
    """
    if p.taxonomy.depth == 1:
        return {}
    leaf = level_scores(p, LEAF, "direct")
    scores = {f"leaf_{name}": leaf[name] for name in LEVEL_METRICS}
    for level in p.taxonomy.levels[:-1]:
        scores |= _scores_of_level(p, level)
    for (level, source), decided in leaf_decisions(p).items():
        matrix = confusion_matrix(p.truth(level), decided, len(p.taxonomy.classes[level]))
        scores[f"{level}_{source}_accuracy"] = float(accuracy(matrix))
        scores[f"{level}_{source}_balanced_accuracy"] = float(balanced_accuracy(matrix))
    return scores | scored(tree_ratios(p))


def leaf_decisions(p: Predictions) -> dict[tuple[str, str], NDArray[np.int64]]:
    """``(level, source)`` -> ``(n,)`` class that a decided leaf stands under.

    ``path``, of every upper level, follows the most probable leaf; ``crm``, of every level, the
    leaf of least risk.
    """
    leaf, tree = {"path": p.heads[LEAF].argmax(1), "crm": least_risk_leaf(p)}, p.taxonomy
    return {
        (level, source): tree.ancestor_index(level)[chosen]
        for level in tree.levels
        for source, chosen in leaf.items()
        if (level, source) != (LEAF, "path")
    }


def decisions(p: Predictions) -> dict[str, NDArray[np.int64]]:
    """Level -> ``(n,)`` decided class: the head's, or the path of the leaf decision without one."""
    leaf = p.heads[LEAF].argmax(1)
    return {
        level: p.heads[level].argmax(1)
        if level in p.heads
        else p.taxonomy.ancestor_index(level)[leaf]
        for level in p.taxonomy.levels
    }


def tree_ratios(p: Predictions) -> dict[str, SlideRatio]:
    """All scores that know the tree and are quotients of sums over slides."""
    return mistakes(p) | consistency(p) | hierarchical_f1(p)


def mistakes(p: Predictions) -> dict[str, SlideRatio]:
    """How far wrong leaf decisions are from the truth (Bertinetto et al., CVPR 2020).

    ``mean_lca_distance``: mean height of the lowest common ancestor, 0 for a right slide.
    ``severity``: the same over wrong slides only, ``nan`` without any. It falls when mild mistakes
    are added (Karthik et al., ICLR 2021), so read it with ``fine_error``. The distance of ``crm``
    is that of the leaf of least risk.
    """
    decision = p.heads[LEAF].argmax(1)
    distance, wrong = p.taxonomy.lca_height[p.labels, decision], decision != p.labels
    careful = p.taxonomy.lca_height[p.labels, least_risk_leaf(p)]
    return {
        "fine_error": SlideRatio.mean(wrong),
        "severity": SlideRatio(distance, wrong),
        "mean_lca_distance": SlideRatio.mean(distance),
        "crm_mean_lca_distance": SlideRatio.mean(careful),
    }


def consistency(p: Predictions) -> dict[str, SlideRatio]:
    """Whether the levels' own decisions are right together and agree with each other.

    ``full_path_accuracy``: share of slides with every level right (Park et al., ICLR 2025).
    ``inconsistency``: share with a broken edge, parent(decision) != decision of the level above.
    ``soft_inconsistency``: mean total variation ``1 - sum_c min(q_c, p_c)`` between each upper
    head and the sum of leaves. Without upper heads the last two are 0 by construction.
    """
    decided, tree = decisions(p), p.taxonomy
    right = np.all([decided[level] == p.truth(level) for level in tree.levels], axis=0)
    broken = [
        tree.parent_index(below)[decided[below]] != decided[above]
        for above, below in itertools.pairwise(tree.levels)
    ]
    upper = [level for level in tree.levels[:-1] if level in p.heads]
    apart = [1 - np.minimum(p.heads[v], p.summed(v)).sum(1) for v in upper]
    far = np.maximum(np.mean(apart, axis=0), 0) if apart else np.zeros(len(p))
    return {
        "full_path_accuracy": SlideRatio.mean(right),
        "inconsistency": SlideRatio.mean(np.any(broken, axis=0)),
        "soft_inconsistency": SlideRatio.mean(far),
    }


def hierarchical_f1(p: Predictions) -> dict[str, SlideRatio]:
    """Micro ``hp``, ``hr``, ``hf`` over ancestor sets without the root (Kiritchenko et al. 2005).

    A decision that shares only the root with the truth scores 0.
    """
    ancestors = p.taxonomy.ancestors
    truth, decided = ancestors[p.labels], ancestors[p.heads[LEAF].argmax(1)]
    shared, of_truth, of_decision = (truth & decided).sum(1), truth.sum(1), decided.sum(1)
    return {
        "hp": SlideRatio(shared, of_decision),
        "hr": SlideRatio(shared, of_truth),
        "hf": SlideRatio(2 * shared, of_decision + of_truth),
    }


def _scores_of_level(p: Predictions, level: str) -> dict[str, float]:
    summed = level_scores(p, level, "summed")
    scores = {f"{level}_summed_{name}": summed[name] for name in LEVEL_METRICS}
    if level in p.heads:
        direct = level_scores(p, level, "direct")
        scores |= {f"{level}_direct_{name}": direct[name] for name in LEVEL_METRICS}
        scores |= {f"{level}_gain_{name}": direct[name] - summed[name] for name in GAINS}
    return scores


# Leaf decisions that expect the least harm: what a flat model can do with the tree, untrained.


def least_risk(probs: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """``(n,)``: ``argmin_u sum_v p(v) C[v, u]``, conditional risk minimisation.

    ``probs`` ``(n, K)``, ``cost`` ``(K, K)``: row = true class, column = decided class (Duda et al.
    2000; Karthik et al., ICLR 2021). The first of equals; with a cost of 1 for every mistake it is
    the most probable class.
    """
    return np.asarray((probs @ cost).round(12).argmin(1))


def least_risk_leaf(p: Predictions) -> NDArray[np.int64]:
    """``(n,)`` leaf of least risk, where a mistake costs the height of the common ancestor."""
    return least_risk(p.heads[LEAF], p.taxonomy.lca_height)
