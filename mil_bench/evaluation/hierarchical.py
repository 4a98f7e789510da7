"""Scores that know the tree: decisions of levels, distances of mistakes, consistency of heads.

Four decisions of an upper level are distinguished: ``direct`` (the level's own head), ``summed``
(the class with the largest sum of leaf probabilities, optimal for 0-1 loss), ``path`` (the ancestor
of the decided leaf) and ``crm`` (that of the leaf of least risk). Set and distance measures use the
path.
"""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.taxonomy import LEAF
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.sums import SlideRatio


def leaf_decisions(p: Predictions) -> dict[tuple[str, str], NDArray[np.int64]]:
    """Return, by ``(level, source)``, the class ``(n,)`` that a decided leaf is under.

    ``path``, of every upper level, follows the most probable leaf; ``crm``, of every level, the
    leaf of least risk.
    """
    leaf, tree = {"path": p.heads[LEAF].argmax(1), "crm": least_risk_leaf(p)}, p.taxonomy
    return {
        (level, source): tree.ancestor_index(level)[chosen]  # the class above the decided leaf
        for level in tree.levels
        for source, chosen in leaf.items()
        if (level, source) != (LEAF, "path")  # it is the leaf's own decision
    }


def decisions(p: Predictions) -> dict[str, NDArray[np.int64]]:
    """Return the decided class ``(n,)`` of every level: the head's, else the path of the leaf."""
    leaf = p.heads[LEAF].argmax(1)
    return {
        level: p.heads[level].argmax(1)
        if level in p.heads
        else p.taxonomy.ancestor_index(level)[leaf]
        for level in p.taxonomy.levels
    }


def tree_ratios(p: Predictions) -> dict[str, SlideRatio]:
    """Return all scores that know the tree, each a quotient of sums over slides."""
    return mistakes(p) | consistency(p) | hierarchical_f1(p)


def mistakes(p: Predictions) -> dict[str, SlideRatio]:
    """Measure how far wrong leaf decisions are off (Bertinetto et al., CVPR 2020).

    ``mean_lca_distance``: mean height of the lowest common ancestor, 0 for a right slide.
    ``severity``: the same over wrong slides only, ``nan`` without any. It falls when mild mistakes
    are added (Karthik et al., ICLR 2021), so read it with ``fine_error``. The distance of ``crm``
    is that of the leaf of least risk.
    """
    decision = p.heads[LEAF].argmax(1)
    distance, wrong = p.taxonomy.lca_height[p.labels, decision], decision != p.labels
    # Distance of the leaf of least risk.
    careful = p.taxonomy.lca_height[p.labels, least_risk_leaf(p)]
    return {
        "fine_error": SlideRatio.mean(wrong),
        "severity": SlideRatio(distance, wrong),  # the mean over wrong slides only
        "mean_lca_distance": SlideRatio.mean(distance),
        "crm_mean_lca_distance": SlideRatio.mean(careful),
    }


def consistency(p: Predictions) -> dict[str, SlideRatio]:
    """Return whether the decisions of the levels are right together and agree with each other.

    ``full_path_accuracy``: share of slides with every level right (Park et al., ICLR 2025).
    ``inconsistency``: share with a broken edge, parent(decision) != decision of the level above.
    ``soft_inconsistency``: mean total variation ``1 - sum_c min(q_c, p_c)`` between each upper
    head and the sum of leaves. Without upper heads the last two are 0 by construction.
    """
    decided, tree = decisions(p), p.taxonomy
    # Every level right.
    right = np.all([decided[level] == p.truth(level) for level in tree.levels], axis=0)
    broken = [
        tree.parent_index(below)[decided[below]] != decided[above]  # parent of the decision
        for above, below in itertools.pairwise(tree.levels)
    ]
    upper = [level for level in tree.levels[:-1] if level in p.heads]
    apart = [1 - np.minimum(p.heads[v], p.summed(v)).sum(1) for v in upper]  # total variation
    # Rounding may fall below 0.
    far = np.maximum(np.mean(apart, axis=0), 0) if apart else np.zeros(len(p))
    return {
        "full_path_accuracy": SlideRatio.mean(right),
        "inconsistency": SlideRatio.mean(np.any(broken, axis=0)),
        "soft_inconsistency": SlideRatio.mean(far),
    }


def hierarchical_f1(p: Predictions) -> dict[str, SlideRatio]:
    """Return micro ``hp``, ``hr``, ``hf`` (Kiritchenko et al. 2005).

    They compare the sets of ancestors without the root.
    A decision that shares only the root with the truth scores 0.
    """
    ancestors = p.taxonomy.ancestors
    truth, decided = ancestors[p.labels], ancestors[p.heads[LEAF].argmax(1)]  # (n, nodes) booleans
    shared, of_truth, of_decision = (truth & decided).sum(1), truth.sum(1), decided.sum(1)
    return {
        "hp": SlideRatio(shared, of_decision),
        "hr": SlideRatio(shared, of_truth),
        "hf": SlideRatio(2 * shared, of_decision + of_truth),  # 2 hp hr / (hp + hr)
    }


def least_risk_leaf(p: Predictions) -> NDArray[np.int64]:
    """Return the leaf of least risk ``(n,)``; a mistake costs the common ancestor's height."""
    return least_risk(p.heads[LEAF], p.taxonomy.lca_height)


def least_risk(probs: NDArray[np.float64], cost: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return ``argmin_u sum_v p(v) C[v, u]`` ``(n,)``, conditional risk minimisation.

    ``probs`` ``(n, K)``, ``cost`` ``(K, K)``: row = true class, column = decided class (Duda et al.
    2000; Karthik et al., ICLR 2021). The first of equals; with a cost of 1 for every mistake it is
    the most probable class.
    """
    # Rounded: equal risks must not be decided by the last bit of a sum.
    return np.asarray((probs @ cost).round(12).argmin(1))
