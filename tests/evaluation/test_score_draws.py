"""All scores of all replicates, against scikit-learn one replicate at a time."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from cohort_cases import patients_of
from hiclass import metrics as hiclass
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_cases import BRACS, DEEP, GRADES, make, predictions, random_predictions
from scipy.stats import rankdata
from sklearn import metrics as sk

from mil_bench.evaluation.inference.resampling import Resampling
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.ranking import auc_and_precision
from mil_bench.evaluation.scores import Scores, score_draws


def close(value):
    return pytest.approx(value, abs=1e-10, nan_ok=True)


@settings(max_examples=30, deadline=None)
@given(predictions())
def test_weights_of_one_give_the_scores_of_the_boards(p):
    draws = score_draws(p, np.ones((len(p), 3), dtype=np.float32))
    values = Scores.of(p).values
    assert draws.keys() == values.keys()
    for b in range(3):
        assert {score: of_score[b] for score, of_score in draws.items()} == close(values)


@settings(max_examples=30, deadline=None)
@given(predictions(), st.integers(0, 999))
def test_whole_weights_are_slides_that_come_several_times(p, seed):
    weights = whole_weights(p, seed)
    draws = score_draws(p, weights)
    for b in range(3):
        values = Scores.of(repeated(p, weights[:, b])).values
        for score, of_score in draws.items():
            if score.metric != "ece":  # its bins are those of the sample
                assert of_score[b] == close(values[score]), score


@settings(max_examples=30, deadline=None)
@given(predictions(), st.integers(0, 999))
def test_whole_weights_give_what_scikit_learn_says_of_repeated_slides(p, seed):
    """All levels and sources: values (weights of one) and replicates alike."""
    weights = whole_weights(p, seed)
    weights[:, 0] = 1
    draws = score_draws(p, weights)
    for b in range(3):
        q = repeated(p, weights[:, b])
        for level in q.taxonomy.levels:
            for source in q.sources(level):
                expected = by_scikit_learn(q.truth(level), q.probabilities(level, source))
                for metric, value in expected.items():
                    assert draws[Score(metric, level, source)][b] == close(value), metric
                bins = (p.truth(level), p.probabilities(level, source), weights[:, b])
                assert draws[Score("ece", level, source)][b] == close(error_by_bins(*bins))


@settings(max_examples=30, deadline=None)
@given(predictions(trees=(BRACS, GRADES, DEEP)), st.integers(0, 999))
def test_whole_weights_give_what_hiclass_says_of_repeated_slides(p, seed):
    weights = whole_weights(p, seed)
    draws = score_draws(p, weights)
    for b in range(3):
        q = repeated(p, weights[:, b])
        truth, decision = (tree_paths(q, of) for of in (q.labels, q.heads["leaf"].argmax(1)))
        assert draws[Score.of_tree("hp")][b] == close(hiclass.precision(truth, decision))
        assert draws[Score.of_tree("hr")][b] == close(hiclass.recall(truth, decision))


def whole_weights(p, seed):
    weights = np.random.default_rng(seed).integers(0, 3, (len(p), 3)).astype(np.float32)
    weights[0] = 1
    return weights


def repeated(p, weight):
    rows = np.repeat(np.arange(len(p)), weight.astype(int))
    return make(p.taxonomy, p.labels[rows], {v: q[rows] for v, q in p.heads.items()})


def by_scikit_learn(truth, probs):
    decision, k = probs.argmax(1), probs.shape[1]
    aucs = [
        sk.roc_auc_score(truth == c, probs[:, c])
        for c in range(k)
        if 0 < (truth == c).sum() < len(truth)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "accuracy": sk.accuracy_score(truth, decision),
            "balanced_accuracy": sk.balanced_accuracy_score(truth, decision),
            "macro_f1": sk.f1_score(truth, decision, average="macro"),
            "log_loss": sk.log_loss(truth, probs, labels=range(k)),
            "brier": np.mean(((probs - np.eye(k)[truth]) ** 2).sum(1)),
            "macro_auc": np.mean(aucs) if aucs else np.nan,
        }


def error_by_bins(truth, probs, weight):
    """Calibration error of weighted slides in bins of the unweighted ones, summed by hand."""
    confidence, right = probs.max(1), probs.argmax(1) == truth
    total = 0.0
    for k in range(15):
        chosen = [
            i
            for i, rank in enumerate(rankdata(confidence))
            if int((rank - 0.5) * 15 / len(confidence)) == k
        ]
        total += abs(sum(weight[i] * (right[i] - confidence[i]) for i in chosen))
    return total / weight.sum()


def tree_paths(p, leaves):
    rows = [p.taxonomy.paths[leaf] for leaf in leaves]
    return np.array([[*row, *[""] * (p.taxonomy.depth - len(row))] for row in rows])


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
