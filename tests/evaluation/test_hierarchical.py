"""Scores of trees: hand-made cases, hiclass, and the identities of the protocol."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hiclass import metrics as hiclass
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_cases import (
    BRACS,
    DEEP,
    FLAT,
    GRADES,
    decided,
    make,
    predictions,
    random_predictions,
)
from scipy.spatial.distance import jensenshannon

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.hierarchical import decisions
from mil_bench.evaluation.scores import Scores

TREES = (BRACS, GRADES, DEEP)
THREE = Taxonomy.from_tree(
    "three", {"A": {"a": ["1", "2"], "b": ["3", "4"]}, "B": {"c": ["5", "6"], "d": ["7", "8"]}}
)


def hierarchical_scores(p):
    """Scores of all slides by name; of a flat tree those of the leaves."""
    return Scores.of(p).by_name


def close(value):
    return pytest.approx(value, abs=1e-12, nan_ok=True)


def test_a_two_level_case_by_hand():
    # N right, N->PB sibling, N->DCIS stranger, FEA->ADH sibling, IC right
    p = decided(BRACS, [0, 0, 0, 3, 6], [0, 1, 5, 4, 6], coarse=[0, 0, 0, 1, 2])
    s = hierarchical_scores(p)
    assert s["fine_error"] == close(3 / 5)
    assert s["severity"] == close((1 + 2 + 1) / 3)
    assert s["mean_lca_distance"] == close(4 / 5)
    assert s["coarse_summed_accuracy"] == s["coarse_path_accuracy"] == close(4 / 5)
    assert s["coarse_direct_accuracy"] == 1
    assert s["coarse_gain_accuracy"] == close(1 / 5)
    assert s["full_path_accuracy"] == close(2 / 5)
    assert s["inconsistency"] == close(1 / 5)
    assert s["soft_inconsistency"] == close(1 / 5)
    assert s["hp"] == s["hr"] == s["hf"] == close((2 + 1 + 0 + 1 + 2) / 10)


def test_a_three_level_case_by_hand():
    # right; same level2; same coarse; nothing shared
    p = decided(THREE, [0, 0, 0, 0], [0, 1, 2, 4])
    s = hierarchical_scores(p)
    assert s["mean_lca_distance"] == close((0 + 1 + 2 + 3) / 4)
    assert s["severity"] == close(2)
    assert s["level2_path_accuracy"] == close(2 / 4)
    assert s["coarse_path_accuracy"] == close(3 / 4)
    assert s["hf"] == close((3 + 2 + 1 + 0) / 12)


def test_a_tree_of_unequal_depth_by_hand():
    # leaves NILM | ASC-US LSIL | HSIL SCC; NILM lies one level higher than the others
    p = decided(DEEP, [0, 1, 1, 1], [1, 0, 2, 3])
    s = hierarchical_scores(p)
    assert s["mean_lca_distance"] == close((3 + 3 + 1 + 2) / 4)
    # ancestors: {negative, NILM} against {positive, low, ASC-US}
    assert s["hp"] == close((0 + 0 + 2 + 1) / (3 + 2 + 3 + 3))
    assert s["hr"] == close((0 + 0 + 2 + 1) / (2 + 3 + 3 + 3))
    assert s["level2_path_accuracy"] == close(1 / 4)


def test_an_answer_that_shares_only_the_root_scores_nothing():
    s = hierarchical_scores(decided(BRACS, [0, 6], [6, 0]))
    assert s["hp"] == s["hr"] == s["hf"] == 0


def test_the_sum_of_leaves_and_the_path_are_two_decisions():
    probs = [[0.3, 0.3, 0.0, 0.0, 0.0, 0.4, 0.0]]  # benign 0.6, but the best leaf is malignant
    s = hierarchical_scores(make(BRACS, [0], {LEAF: probs}))
    assert s["coarse_summed_accuracy"] == 1
    assert s["coarse_path_accuracy"] == 0


def test_any_broken_edge_of_a_deep_tree_is_inconsistent():
    agree = decided(THREE, [0], [0], coarse=[0], level2=[0])
    low = decided(THREE, [0], [0], coarse=[0], level2=[1])
    high = decided(THREE, [0], [0], coarse=[1], level2=[0])
    values = [hierarchical_scores(p)["inconsistency"] for p in (agree, low, high)]
    assert values == [0, 1, 1]


def test_without_upper_heads_the_heads_cannot_disagree():
    s = hierarchical_scores(random_predictions(DEEP, skill=1))
    assert s["inconsistency"] == s["soft_inconsistency"] == 0
    assert s["full_path_accuracy"] == close(1 - s["fine_error"])
    assert not any("direct" in name or "gain" in name for name in s)


def test_a_flat_label_set_has_no_hierarchical_scores():
    assert all(score.is_leaf for score in Scores.of(random_predictions(FLAT)).values)


def test_no_mistake_has_no_severity():
    assert math.isnan(hierarchical_scores(decided(BRACS, [0, 3], [0, 3]))["severity"])


def test_soft_inconsistency_is_the_total_variation_and_bounds_jensen_shannon():
    p = random_predictions(BRACS, heads=("coarse",), seed=4)
    direct, summed = p.heads["coarse"], p.summed("coarse")
    ours = hierarchical_scores(p)["soft_inconsistency"]
    assert ours == close((np.abs(direct - summed).sum(1) / 2).mean())
    js = jensenshannon(direct, summed, base=2, axis=1) ** 2
    assert js.mean() <= ours


@given(predictions(trees=TREES))
@settings(deadline=None, max_examples=50)
def test_precision_recall_and_f_equal_hiclass(p):
    def paths(leaves):
        rows = [p.taxonomy.paths[leaf] for leaf in leaves]
        return np.array([[*row, *[""] * (p.taxonomy.depth - len(row))] for row in rows])

    truth, decided_ = paths(p.labels), paths(p.heads[LEAF].argmax(1))
    s = hierarchical_scores(p)
    assert s["hp"] == close(hiclass.precision(truth, decided_))
    assert s["hr"] == close(hiclass.recall(truth, decided_))
    if s["hf"] > 0:
        assert s["hf"] == close(hiclass.f1(truth, decided_))


@given(predictions(trees=(BRACS, GRADES)))
@settings(deadline=None, max_examples=50)
def test_identities_of_balanced_two_level_trees(p):
    s = hierarchical_scores(p)
    fine, path = s["accuracy"], s["coarse_path_accuracy"]
    assert s["hp"] == s["hr"] == close(s["hf"])
    assert s["hf"] == close((fine + path) / 2)
    assert s["mean_lca_distance"] == close(2 - fine - path)
    wrong = p.heads[LEAF].argmax(1) != p.labels
    if wrong.any():
        off = decisions_by_path(p) != p.truth("coarse")
        assert s["severity"] == close(1 + off[wrong].mean())
    else:
        assert math.isnan(s["severity"])


@given(predictions(trees=(*TREES, THREE)))
@settings(deadline=None, max_examples=50)
def test_identities_of_consistency(p):
    s = hierarchical_scores(p)
    fine = s["accuracy"]
    assert s["fine_error"] == close(1 - fine)
    assert s["full_path_accuracy"] >= fine - s["inconsistency"] - 1e-12
    decided_ = decisions(p)
    per_level = [(decided_[v] == p.truth(v)).mean() for v in p.taxonomy.levels]
    assert s["full_path_accuracy"] <= min(per_level) + 1e-12
    broken = np.zeros(len(p), dtype=bool)
    for above, below in itertools.pairwise(p.taxonomy.levels):
        broken |= p.taxonomy.parent_index(below)[decided_[below]] != decided_[above]
    right = decided_[LEAF] == p.labels
    assert s["inconsistency"] == close(broken.mean())
    assert s["full_path_accuracy"] == close(fine - (right & broken).mean())
    if s["inconsistency"] == 0:
        assert s["full_path_accuracy"] == close(fine)


@given(predictions(trees=(*TREES, THREE)))
@settings(deadline=None, max_examples=30)
def test_a_head_equal_to_the_sum_of_leaves_gains_nothing(p):
    heads = {LEAF: p.heads[LEAF], "coarse": p.summed("coarse")}
    s = hierarchical_scores(make(p.taxonomy, p.labels, heads))
    assert s["coarse_gain_accuracy"] == 0
    assert s["coarse_gain_macro_auc"] == close(0) or math.isnan(s["coarse_summed_macro_auc"])
    assert s["soft_inconsistency"] == close(0)


@pytest.mark.parametrize("tree", [*TREES, THREE], ids=lambda t: t.name)
def test_perfect_predictions_are_perfect_in_every_hierarchical_score(tree):
    leaves = list(range(len(tree.leaves))) * 2
    upper = {v: tree.ancestor_index(v)[leaves] for v in tree.levels[:-1]}
    for score, value in Scores.of(decided(tree, leaves, leaves, **upper)).values.items():
        if score.metric == "severity":
            assert math.isnan(value)
        elif score.source == "gain":
            assert value == 0
        else:
            assert value == close(1 if score.facts.better == 1 else 0), score


@given(predictions(trees=(*TREES, THREE)), st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_permuted_and_renamed_classes_change_no_score(p, seed):
    tree = p.taxonomy
    order = np.random.default_rng(seed).permutation(len(tree.leaves))
    new = Taxonomy("new", tuple(tuple(f"x{n}" for n in tree.paths[i]) for i in order))
    heads = {LEAF: p.heads[LEAF][:, order]}
    for level in tree.levels[:-1]:
        if level in p.heads:
            moved = [tree.classes[level].index(name[1:]) for name in new.classes[level]]
            heads[level] = p.heads[level][:, moved]
    q = make(new, np.argsort(order)[p.labels], heads)
    if _has_tied_maxima(p):
        return
    after, before = hierarchical_scores(q), hierarchical_scores(p)  # of grades: no order after
    expected = {name: before[name] for name in after}
    assert after == pytest.approx(expected, abs=1e-9, nan_ok=True)


@given(predictions(trees=(*TREES, THREE), upper=False), st.data())
@settings(deadline=None, max_examples=40)
def test_a_level_of_single_children_changes_neither_distance_nor_severity(p, data):
    """The level stands anywhere, under all nodes or some: it says nothing new."""
    tree = p.taxonomy
    nodes = sorted({node for path in tree.paths for node in path})
    doubled = data.draw(st.sets(st.sampled_from(nodes)))
    paths = [
        tuple(x for node in path for x in ((f"{node}+", node) if node in doubled else (node,)))
        for path in tree.paths
    ]
    longer = make(Taxonomy("longer", tuple(paths)), p.labels, p.heads)
    before, after = hierarchical_scores(p), hierarchical_scores(longer)
    for name in ("severity", "mean_lca_distance", "fine_error", "full_path_accuracy"):
        assert after[name] == close(before[name])


def test_random_heads_gain_nothing_and_are_inconsistent_at_the_rate_of_chance():
    s = hierarchical_scores(random_predictions(THREE, n=40_000, heads=("coarse", "level2")))
    assert s["coarse_gain_accuracy"] == pytest.approx(0, abs=0.01)
    assert s["coarse_gain_macro_auc"] == pytest.approx(0, abs=0.01)
    # both edges hold with probability 1/2 * 1/4, whatever the leaf
    assert s["inconsistency"] == pytest.approx(1 - 1 / 8, abs=0.01)
    assert s["full_path_accuracy"] == pytest.approx(1 / 8 / 4 / 2, abs=0.005)


def decisions_by_path(p):
    return p.taxonomy.ancestor_index("coarse")[p.heads[LEAF].argmax(1)]


def _has_tied_maxima(p):
    """Equal probabilities are decided by position, which a permutation moves."""
    every = [*p.heads.values(), *(p.summed(v) for v in p.taxonomy.levels)]
    return any((np.isclose(q, q.max(1, keepdims=True)).sum(1) > 1).any() for q in every)
