"""Thresholds against scikit-learn's ROC curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_curve

from mil_bench.boards.tables.thresholds import sensitivity_threshold, youden_threshold


@st.composite
def cases(draw):
    n = draw(st.integers(2, 30))
    score = np.array(draw(st.lists(st.integers(0, 8), min_size=n, max_size=n))) / 8
    positive = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    positive[:2] = [True, False]
    return positive, score


@given(cases())
def test_youden_is_the_best_point_of_the_roc_curve(case):
    positive, score = case
    fpr, tpr, thresholds = roc_curve(positive, score, drop_intermediate=False)
    t = youden_threshold(positive, score)
    j = (score[positive] >= t).mean() - (score[~positive] >= t).mean()
    best = (tpr - fpr)[1:].max()  # the first point calls nobody
    assert j == pytest.approx(best)
    assert t == max(thresholds[1:][np.isclose((tpr - fpr)[1:], best)])


@given(cases(), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_a_target_is_reached_by_the_highest_threshold_of_the_curve(case, target):
    positive, score = case
    _, tpr, thresholds = roc_curve(positive, score, drop_intermediate=False)
    t = sensitivity_threshold(positive, score, target)
    assert t == max(x for x, reached in zip(thresholds, tpr, strict=True) if reached >= target)


def test_one_sided_slides_have_no_threshold():
    for positive in (np.ones(3, bool), np.zeros(3, bool)):
        assert math.isnan(youden_threshold(positive, np.arange(3.0)))
        assert math.isnan(sensitivity_threshold(positive, np.arange(3.0), 0.9))
