"""Curves read off at places: against scikit-learn, and their areas against AUC and AP."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import trapezoid
from sklearn.metrics import (
    average_precision_score,
    precision_recall_curve,
    roc_auc_score,
    roc_curve,
)

from mil_bench.evaluation.ranking import precision_at, sensitivity_at

FINE = np.linspace(0, 1, 20_001)


def case(seed, ties=False, n=60):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.3
    score = rng.normal(size=n) + positive
    return positive, np.round(score) if ties else score


def ones(n):
    return np.ones((n, 1), dtype=np.float32)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_sensitivity_is_that_of_scikit_learn_between_its_thresholds(seed, ties):
    positive, score = case(seed, ties)
    fpr, tpr, _ = roc_curve(positive, score, drop_intermediate=False)
    places = np.linspace(0.003, 0.997, 101)
    found = sensitivity_at(places, positive, score, ones(len(score)))[:, 0]
    assert found == pytest.approx(np.interp(places, fpr, tpr))


@pytest.mark.parametrize("seed", range(3))
def test_precision_is_that_of_the_first_threshold_that_reaches_a_recall(seed):
    positive, score = case(seed)
    precision, recall, _ = precision_recall_curve(positive, score)
    reached = np.unique(recall[recall > 0])
    found = precision_at(reached, positive, score, ones(len(score)))[:, 0]
    expected = [precision[:-1][recall[:-1] == r].max() for r in reached]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("ties", [False, True])
def test_areas_are_auc_and_average_precision(ties):
    positive, score = case(5, ties)
    roc = sensitivity_at(FINE, positive, score, ones(len(score)))[:, 0]
    steps = precision_at(FINE, positive, score, ones(len(score)))[:, 0]
    assert trapezoid(roc, x=FINE) == pytest.approx(roc_auc_score(positive, score), abs=1e-3)
    assert np.mean(steps) == pytest.approx(average_precision_score(positive, score), abs=1e-3)


@pytest.mark.parametrize("at", [sensitivity_at, precision_at])
def test_a_slide_that_weighs_two_is_a_slide_that_stands_there_twice(at):
    positive, score = case(7)
    weight = np.random.default_rng(0).integers(0, 3, len(score))
    places = np.linspace(0, 1, 41)
    weighted = at(places, positive, score, weight[:, None].astype(np.float32))
    repeated = at(places, np.repeat(positive, weight), np.repeat(score, weight), ones(weight.sum()))
    assert weighted == pytest.approx(repeated)


@pytest.mark.parametrize("at", [sensitivity_at, precision_at])
def test_a_class_without_slides_has_no_curve(at):
    _, score = case(1)
    assert np.isnan(at(FINE[:5], np.zeros(len(score), dtype=bool), score, ones(len(score)))).all()


def test_a_curve_of_precision_begins_with_its_best_slide_not_with_zero():
    positive, score = np.array([False, True, True]), np.array([3.0, 2.0, 1.0])
    found = precision_at(np.array([0.0, 0.5, 1.0]), positive, score, ones(3))[:, 0]
    assert found.tolist() == pytest.approx([1 / 2, 1 / 2, 2 / 3])
