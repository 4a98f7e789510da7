"""The drop from a model's own test patients to those of another dataset."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from prediction_cases import FLAT, make, random_predictions
from scipy import stats

from mil_bench.base.errors import DataError
from mil_bench.evaluation.inference.transfer import transfer
from mil_bench.evaluation.metrics import Score

ACCURACY = Score("accuracy")
SENSITIVITY = Score("sensitivity", "leaf", "direct", "yes")


def cohort(right, name, labels=None):
    """One slide per patient; ``right`` says which are decided correctly."""
    right = np.asarray(right, dtype=bool)
    labels = np.arange(len(right)) % 2 if labels is None else np.asarray(labels)
    decided = np.where(right, labels, 1 - labels)
    p = make(FLAT, labels, {"leaf": 0.2 + 0.6 * np.eye(2)[decided]})
    ids = np.array([f"{name}{slide}" for slide in p.slide_ids])
    return replace(p, slide_ids=ids, groups=ids)


def test_one_model_and_a_slide_per_patient_is_welch():
    rng = np.random.default_rng(0)
    a, b = rng.random(90) < 0.85, rng.random(60) < 0.7
    moved = transfer({(0, 0): cohort(a, "a")}, {(0, 0): cohort(b, "b")}, replicates=20_000)[
        ACCURACY
    ]
    expected = stats.ttest_ind(a.astype(float), b.astype(float), equal_var=False)
    low, high = expected.confidence_interval(0.95)
    assert moved.drop.value == pytest.approx(a.mean() - b.mean(), abs=1e-12)
    assert moved.drop.freedom == pytest.approx(expected.df, rel=0.03)
    assert (moved.drop.low, moved.drop.high) == pytest.approx((low, high), abs=0.012)
    assert moved.drop.p == pytest.approx(expected.pvalue, abs=0.01)
    assert moved.own.error == pytest.approx(a.std(ddof=1) / np.sqrt(90), rel=0.03)


def test_equal_cohorts_are_drawn_independently_of_each_other():
    """Both sides have the same number of patients, so the same draws: the variances must add up."""
    right = np.arange(80) % 4 > 0
    moved = transfer({(0, 0): cohort(right, "a")}, {(0, 0): cohort(right, "b")}, 8_000)[ACCURACY]
    assert moved.drop.value == 0
    assert moved.drop.error == pytest.approx(np.hypot(moved.own.error, moved.here.error), rel=0.03)


def test_the_drop_is_a_mean_over_models_folds_within_seeds():
    own = {
        (0, 0): cohort([1, 1, 1, 1], "a"),
        (0, 1): cohort([1, 1, 0, 0], "b"),
        (1, 0): cohort([1, 1, 1, 0], "a"),
    }
    here = {
        (0, 0): cohort([1, 1, 0, 0], "c"),
        (0, 1): cohort([1, 0, 0, 0], "c"),
        (1, 0): cohort([0, 0, 0, 0], "c"),
        (1, 1): cohort([1, 1, 1, 1], "c"),  # its own test is not at hand
    }
    moved = transfer(own, here, 50)[ACCURACY]
    assert moved.drop.value == pytest.approx(((0.5 + 0.25) / 2 + 0.75) / 2)
    assert moved.own.value == pytest.approx((0.75 + 0.75) / 2)
    assert moved.here.value == pytest.approx((0.375 + 0.0) / 2)


def test_a_model_whose_own_test_leaves_a_score_undefined_is_left_out_of_its_drop():
    own = {
        (0, 0): cohort([1, 1, 1, 1], "a"),
        (0, 1): cohort([1, 1], "b", labels=[0, 0]),  # no slide of `yes`
    }
    here = {(0, 0): cohort([1, 0, 1, 0], "c"), (0, 1): cohort([1, 1, 1, 1], "c")}
    moved = transfer(own, here, 50)[SENSITIVITY]
    assert moved.drop.value == pytest.approx(1.0 - 0.0)  # of the first model alone
    assert moved.here.value == pytest.approx(0.5)


def test_models_without_a_partner_and_single_patients():
    p = cohort([1, 0, 1, 1], "a")
    assert transfer({(0, 0): p}, {(0, 1): p}) == {}
    assert transfer({}, {}) == {}
    with pytest.raises(DataError, match="at least two"):
        transfer({(0, 0): p.cut([0])}, {(0, 0): p})


def test_the_interval_covers_the_true_drop():
    """Patients of three slides, 85 % and 70 % right; the drop of the population is 15 points."""
    rng = np.random.default_rng(1)

    def sample(patients, share, name):
        skill = rng.beta(8 * share, 8 * (1 - share), patients).repeat(3)
        p = cohort(rng.random(3 * patients) < skill, name)
        return replace(p, groups=np.repeat([f"{name}{i}" for i in range(patients)], 3))

    covered = 0
    for _ in range(150):
        own, here = sample(40, 0.85, "a"), sample(25, 0.7, "b")
        drop = transfer({(0, 0): own}, {(0, 0): here}, 400)[ACCURACY].drop
        covered += drop.low <= 0.15 <= drop.high
    assert 0.88 <= covered / 150 <= 0.99  # binomial: 95 % of 150 is 0.915 to 0.985


def test_scores_of_upper_levels_and_trees_are_there():
    own = {(0, 0): random_predictions(n=80, seed=1, skill=2.0, heads=("coarse",))}
    here = {(0, 0): random_predictions(n=80, seed=2, skill=1.0, heads=("coarse",))}
    moved = transfer(own, here, 50)
    assert Score("balanced_accuracy", "coarse", "direct") in moved
    assert Score.of_tree("hf") in moved
    assert moved[Score("balanced_accuracy")].drop.value > 0
