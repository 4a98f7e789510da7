"""Decisions of least risk, against the sum written out for every leaf."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from prediction_cases import BRACS, DEEP, decided, make, predictions, random_predictions
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from mil_bench.evaluation.hierarchical import least_risk, least_risk_leaf
from mil_bench.evaluation.scores import Scores, scores_by_name


@given(predictions(upper=False))
def test_no_other_leaf_has_a_smaller_expected_distance(p):
    height = p.taxonomy.lca_height
    for probs, chosen in zip(p.heads["leaf"], least_risk_leaf(p), strict=True):
        risk = [sum(probs[v] * height[v, u] for v in range(len(probs))) for u in range(len(probs))]
        assert risk[chosen] <= min(risk) + 1e-9


def test_a_case_by_hand():
    """IC is most probable; but most of the weight is benign, where N costs the least."""
    probs = [0.25, 0.2, 0.19, 0.0, 0.0, 0.0, 0.36]
    p = make(BRACS, [0], {"leaf": [probs]})
    assert BRACS.leaves[np.argmax(probs)] == "IC"
    assert BRACS.leaves[least_risk_leaf(p)[0]] == "N"


def test_equal_costs_choose_the_most_probable_class():
    p = random_predictions(BRACS, seed=3)
    chosen = least_risk(p.heads["leaf"], 1 - np.eye(7))
    assert np.array_equal(chosen, p.heads["leaf"].argmax(1))


def test_costs_are_of_the_truth_by_row():
    """Missing class 1 costs ten times a false alarm: one in five is enough to call it."""
    cost = np.array([[0.0, 1.0], [10.0, 0.0]])
    assert least_risk(np.array([[0.8, 0.2], [0.95, 0.05]]), cost).tolist() == [1, 0]


@pytest.mark.parametrize("tree", [BRACS, DEEP])
def test_scores_are_those_of_scikit_learn_on_the_ancestors(tree):
    p = random_predictions(tree, skill=1.0)
    scores, leaf = Scores.of(p).by_name, least_risk_leaf(p)
    for level in tree.levels:
        truth, chosen = p.truth(level), tree.ancestor_index(level)[leaf]
        assert scores[f"{level}_crm_accuracy"] == pytest.approx(accuracy_score(truth, chosen))
        found = scores[f"{level}_crm_balanced_accuracy"]
        assert found == pytest.approx(balanced_accuracy_score(truth, chosen))
    distances = [tree.lca_height[y, u] for y, u in zip(p.labels, leaf, strict=True)]
    assert scores["crm_mean_lca_distance"] == pytest.approx(np.mean(distances))


def test_sure_predictions_are_decided_alike():
    p = decided(BRACS, [0, 1, 6], [0, 2, 6])
    scores = Scores.of(p).by_name
    assert scores["crm_mean_lca_distance"] == scores["mean_lca_distance"] == pytest.approx(1 / 3)


def test_names_have_facts():
    scores = scores_by_name(BRACS)
    assert scores["coarse_crm_balanced_accuracy"].facts.title == "coarse crm Bal. acc"
    assert scores["crm_mean_lca_distance"].facts.better == -1
