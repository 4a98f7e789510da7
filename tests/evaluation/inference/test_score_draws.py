"""All scores of all replicates, against scikit-learn one replicate at a time."""

from __future__ import annotations

import warnings
from collections.abc import Mapping

import numpy as np
import pytest
from cohort_cases import patients_of
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_cases import BRACS, DEEP, GRADES, make, predictions, random_predictions
from sklearn import metrics as sk

from mil_bench.evaluation.inference.resampling import Resampling
from mil_bench.evaluation.inference.score_draws import Score, score_draws
from mil_bench.evaluation.ranking import auc_and_precision
from mil_bench.evaluation.scores import Scores


def close(value):
    return pytest.approx(value, abs=1e-10, nan_ok=True)


def flattened(scores: Scores) -> Mapping[Score, float]:
    named = {Score(n): v for n, v in {**scores.overall, **scores.hierarchical}.items()}
    classes = {
        Score(metric, c.level, c.source, c.name): value
        for c in scores.classes
        for metric, value in c.metrics().items()
        if metric not in ("support", "patients")
    }
    return named | classes


@settings(max_examples=60, deadline=None)
@given(predictions())
def test_weights_of_one_give_the_scores_of_the_boards(p):
    expected = flattened(Scores.of(p))
    found = score_draws(p, np.ones((len(p), 1), dtype=np.float32))
    assert found.keys() == expected.keys()
    assert {name: draws[0] for name, draws in found.items()} == close(expected)


@settings(max_examples=30, deadline=None)
@given(predictions(), st.integers(0, 999))
def test_whole_weights_are_slides_that_come_several_times(p, seed):
    weights = np.random.default_rng(seed).integers(0, 3, (len(p), 3)).astype(np.float32)
    weights[0] = 1
    found = score_draws(p, weights)
    for b in range(3):
        rows = np.repeat(np.arange(len(p)), weights[:, b].astype(int))
        repeated = make(p.taxonomy, p.labels[rows], {v: q[rows] for v, q in p.heads.items()})
        expected = flattened(Scores.of(repeated))
        for score, draws in found.items():
            if not score.metric.endswith("ece"):  # its bins are those of the sample
                assert draws[b] == close(expected[score]), score


@pytest.mark.parametrize("tree", [BRACS, GRADES, DEEP])
@pytest.mark.parametrize("ties", [False, True])
def test_every_replicate_is_that_of_scikit_learn(tree, ties):
    p = patients_of(random_predictions(tree, n=90, skill=1.5, ties=ties), 30)
    weights = Resampling.of([p], 8).of_slides(p)
    found, probs = score_draws(p, weights), p.heads["leaf"]
    decision = probs.argmax(1)
    for b in range(9):
        w = weights[:, b].astype(np.float64)
        given = {"sample_weight": w}
        same = [
            ("accuracy", sk.accuracy_score(p.labels, decision, **given)),
            (
                "brier",
                np.average(((probs - np.eye(probs.shape[1])[p.labels]) ** 2).sum(1), weights=w),
            ),
            ("log_loss", sk.log_loss(p.labels, probs, labels=range(probs.shape[1]), **given)),
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            same += [
                ("balanced_accuracy", sk.balanced_accuracy_score(p.labels, decision, **given)),
                ("macro_f1", present_f1(p.labels, decision, w)),
            ]
        if tree.ordered:
            kappa = sk.cohen_kappa_score(p.labels, decision, weights="quadratic", **given)
            same.append(("qwk", kappa))
        for name, expected in same:
            assert found[Score(name)][b] == close(expected), (name, b)
        for k, leaf in enumerate(tree.leaves):
            positive = p.labels == k
            auc = sk.roc_auc_score(positive, probs[:, k], **given)
            ap = sk.average_precision_score(positive, probs[:, k], **given)
            ppv = sk.precision_score(positive, decision == k, zero_division=np.nan, **given)
            sensitivity = sk.recall_score(positive, decision == k, zero_division=np.nan, **given)
            specificity = sk.recall_score(~positive, decision != k, **given)
            npv = sk.precision_score(~positive, decision != k, **given)
            for name, expected in [
                ("auc", auc),
                ("ap", ap),
                ("ppv", ppv),
                ("npv", npv),
                ("sensitivity", sensitivity),
                ("specificity", specificity),
            ]:
                assert found[Score(name, "leaf", "direct", leaf)][b] == close(expected), name


def present_f1(truth, decision, weight):
    """scikit-learn's macro F1 over the classes with weight on either side."""
    drawn = weight > 0
    present = np.union1d(truth[drawn], decision[drawn])
    return sk.f1_score(truth, decision, sample_weight=weight, labels=present, average="macro")


def test_a_class_without_weight_leaves_its_scores_undefined():
    p = random_predictions(n=40, seed=3)
    weights = np.ones((40, 2), dtype=np.float32)
    weights[p.labels == 5, 1] = 0
    found = score_draws(p, weights)
    for metric in ("auc", "ap", "sensitivity"):
        draws = found[Score(metric, "leaf", "direct", "DCIS")]
        assert np.isnan(draws).tolist() == [False, True]
    assert not np.isnan(found[Score("macro_auc")]).any()


def test_an_auc_needs_both_sides():
    weights = np.ones((4, 2), dtype=np.float32)
    for positive in (np.zeros(4, bool), np.ones(4, bool)):
        auc, ap = auc_and_precision(positive, np.arange(4.0), weights)
        assert np.isnan([auc, ap]).all()


def test_the_order_of_slides_changes_nothing():
    p = patients_of(random_predictions(GRADES, n=70, heads=("coarse",), ties=True), 30)
    weights = Resampling.of([p], 25).of_slides(p)
    order = np.random.default_rng(1).permutation(70)
    heads = {v: q[order] for v, q in p.heads.items()}
    shuffled = make(GRADES, p.labels[order], heads, groups=p.groups[order])
    a, b = score_draws(p, weights), score_draws(shuffled, weights[order])
    for score, draws in a.items():
        np.testing.assert_allclose(draws, b[score], atol=1e-12)
