"""Overall scores against scikit-learn, and what random and perfect predictions must give."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from prediction_cases import (
    BRACS,
    DEEP,
    FLAT,
    GRADES,
    TREES,
    decided,
    make,
    predictions,
    random_predictions,
)
from sklearn import metrics as sk

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.calibration import equal_mass_bins
from mil_bench.evaluation.confusion import is_ordered
from mil_bench.evaluation.metrics import METRICS, Score
from mil_bench.evaluation.scores import Scores, leaf_scores, scores_by_name


def same(ours, theirs):
    return ours == pytest.approx(theirs, abs=1e-12, nan_ok=True)


def level_scores(p, level, source):
    """Scores of all slides at one level, by metric."""
    values = Scores.of(p).values.items()
    return {s.metric: v for s, v in values if (s.level, s.source, s.name) == (level, source, "")}


def macro_auc_by_sklearn(truth, probs):
    defined = [k for k in range(probs.shape[1]) if 0 < (truth == k).sum() < len(truth)]
    aucs = [sk.roc_auc_score(truth == k, probs[:, k]) for k in defined]
    return np.mean(aucs) if aucs else math.nan


@given(predictions())
@settings(deadline=None, max_examples=60)
def test_scores_of_every_level_equal_those_of_scikit_learn(p):
    for level, source in [(at, s) for at in p.taxonomy.levels for s in p.sources(at)]:
        ours = level_scores(p, level, source)
        truth, probs = p.truth(level), p.probabilities(level, source)
        decision, k = probs.argmax(1), probs.shape[1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert same(ours["accuracy"], sk.accuracy_score(truth, decision))
            assert same(ours["balanced_accuracy"], sk.balanced_accuracy_score(truth, decision))
            assert same(ours["macro_f1"], sk.f1_score(truth, decision, average="macro"))
            recalls = sk.recall_score(truth, decision, average=None, labels=np.unique(truth))
            assert same(ours["worst_sensitivity"], recalls.min())
            assert same(ours["log_loss"], sk.log_loss(truth, probs, labels=range(k)))
        assert same(ours["macro_auc"], macro_auc_by_sklearn(truth, probs))
        brier = np.mean(
            [((row - np.eye(k)[y]) ** 2).sum() for row, y in zip(probs, truth, strict=True)]
        )
        assert same(ours["brier"], brier)


@given(predictions(trees=(GRADES,), upper=False))
@settings(deadline=None, max_examples=40)
def test_scores_of_grades_equal_those_of_scikit_learn(p):
    ours, decision = leaf_scores(p), p.heads[LEAF].argmax(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, weights in (("qwk", "quadratic"), ("linear_kappa", "linear")):
            theirs = sk.cohen_kappa_score(p.labels, decision, weights=weights, labels=range(6))
            assert same(ours[name], theirs)
    assert same(ours["mae"], sk.mean_absolute_error(p.labels, decision))
    rps = [
        sum((row[: k + 1].sum() - (y <= k)) ** 2 for k in range(5)) / 5
        for row, y in zip(p.heads[LEAF], p.labels, strict=True)
    ]
    assert same(ours["rps"], np.mean(rps))


@pytest.mark.parametrize("tree", TREES, ids=lambda t: t.name)
def test_random_predictions_score_chance_in_every_column(tree):
    p = random_predictions(tree, n=40_000, seed=3, heads=tree.levels[:-1])
    k = len(tree.leaves)
    scores = leaf_scores(p)
    assert scores["macro_auc"] == pytest.approx(0.5, abs=0.01)
    assert scores["balanced_accuracy"] == pytest.approx(1 / k, abs=0.01)
    assert scores["accuracy"] == pytest.approx(1 / k, abs=0.01)
    assert scores["macro_f1"] == pytest.approx(1 / k, abs=0.01)
    assert scores["worst_sensitivity"] <= 1 / k + 0.01
    if tree.ordered:
        assert scores["qwk"] == pytest.approx(0, abs=0.02)
        assert scores["linear_kappa"] == pytest.approx(0, abs=0.02)
    for level in tree.levels[:-1]:
        for source in ("summed", "direct"):
            upper = level_scores(p, level, source)
            assert upper["macro_auc"] == pytest.approx(0.5, abs=0.01)
            assert upper["balanced_accuracy"] == pytest.approx(
                1 / len(tree.classes[level]), abs=0.01
            )


def test_a_constant_classifier_is_at_chance_however_unequal_the_classes():
    labels = [0] * 90 + [1] * 8 + [2] * 2
    p = decided(BRACS, labels, [0] * 100)
    scores = leaf_scores(p)
    assert scores["accuracy"] == 0.9
    assert scores["balanced_accuracy"] == pytest.approx(1 / 3)
    assert scores["macro_auc"] == 0.5
    assert scores["worst_sensitivity"] == 0


@pytest.mark.parametrize("tree", TREES, ids=lambda t: t.name)
def test_perfect_predictions_reach_the_best_value_of_every_metric(tree):
    labels = list(range(len(tree.leaves))) * 3
    best = {1: 1.0, -1: 0.0}
    for name, value in leaf_scores(decided(tree, labels, labels)).items():
        assert value == pytest.approx(best[METRICS[name].better], abs=1e-12), name


def test_scores_that_need_an_order_are_absent_for_unordered_classes():
    assert "qwk" not in leaf_scores(random_predictions(BRACS))
    assert "qwk" in leaf_scores(random_predictions(GRADES))


def test_a_level_that_interleaves_the_grades_is_not_ordered():
    mixed = Taxonomy.from_parents(
        "mixed", {"0": "even", "1": "odd", "2": "even"}, ["0", "1", "2"], ordered=True
    )
    assert is_ordered(mixed, "leaf")
    assert not is_ordered(mixed, "coarse")
    assert is_ordered(GRADES, "coarse")


def test_a_test_set_of_one_class_has_no_auc_and_no_kappa():
    p = random_predictions(GRADES, labels=[2] * 10)
    scores = leaf_scores(p)
    assert math.isnan(scores["macro_auc"])
    assert scores["balanced_accuracy"] == scores["accuracy"]
    perfect = leaf_scores(decided(GRADES, [2] * 10, [2] * 10))
    assert math.isnan(perfect["qwk"])


def test_summed_leaves_and_direct_leaves_are_the_same():
    p = random_predictions(DEEP, skill=1)
    assert np.array_equal(p.probabilities(LEAF, "summed"), p.probabilities(LEAF, "direct"))


@given(predictions())
@settings(deadline=None, max_examples=20)
def test_scores_of_the_leaves_alone_are_those_of_all(p):
    assert leaf_scores(p) == pytest.approx(level_scores(p, LEAF, "direct"), nan_ok=True, abs=0)


@pytest.mark.parametrize("tree", TREES, ids=lambda t: t.name)
def test_the_names_of_a_tree_are_the_columns_of_a_method_with_every_head(tree):
    p = random_predictions(tree, heads=tree.levels[:-1])
    by_name = scores_by_name(tree)
    assert by_name.keys() == Scores.of(p).by_name.keys()
    assert all(str(score) == name for name, score in by_name.items())
    assert len(set(by_name.values())) == len(by_name)


def test_every_score_has_its_facts():
    for tree in TREES:
        assert all(score.facts.title for score in scores_by_name(tree).values())
    gain = scores_by_name(BRACS)["coarse_gain_accuracy"]
    assert gain == Score("accuracy", "coarse", "gain")
    assert (gain.facts.needs, gain.facts.better, gain.facts.chance) == ("direct head", 1, "0")
    assert gain.facts.title == "coarse gain Acc"
    assert Score("brier", "coarse", "summed").facts.better == -1
    assert Score("accuracy", LEAF, "crm").facts.title == "leaf crm Acc"
    with pytest.raises(KeyError):
        _ = Score("charm").facts


def test_asking_for_a_head_that_is_not_there_says_which_there_are():
    with pytest.raises(DataError, match=r"heads for \['leaf'\], not for 'coarse'"):
        random_predictions(BRACS).probabilities("coarse", "direct")


def test_calibration_error_of_equal_bins_by_hand():
    # 30 slides, confidences all different, so bins of two neighbours each.
    confidence = np.linspace(0.51, 0.99, 30)
    right = np.arange(30) % 3 == 0
    labels = np.where(right, 1, 0)
    p = make(FLAT, labels, {LEAF: np.column_stack([1 - confidence, confidence])})
    pairs_c, pairs_r = confidence.reshape(15, 2).mean(1), right.reshape(15, 2).mean(1)
    assert same(leaf_scores(p)["ece"], np.abs(pairs_c - pairs_r).mean())
    assert np.bincount(equal_mass_bins(confidence)).tolist() == [2] * 15


@given(predictions())
@settings(deadline=None, max_examples=30)
def test_the_order_of_slides_changes_no_score(p):
    order = np.random.default_rng(0).permutation(len(p))
    heads = {level: probs[order] for level, probs in p.heads.items()}
    shuffled = make(p.taxonomy, p.labels[order], heads)
    assert leaf_scores(shuffled) == pytest.approx(leaf_scores(p), nan_ok=True, abs=1e-12)
