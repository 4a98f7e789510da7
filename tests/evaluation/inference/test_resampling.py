"""Draws of patients: what every replicate must hold, and the formulas they follow."""

from __future__ import annotations

import numpy as np
import pytest
from cohort_cases import cells, patients_of
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_cases import BRACS, FLAT, make, random_predictions

from mil_bench.base.errors import DataError
from mil_bench.evaluation.inference.resampling import FEW, Resampling


def flat(labels, groups):
    heads = {"leaf": np.full((len(labels), 2), 0.5)}
    return make(FLAT, labels, heads, groups=groups)


def test_the_first_replicate_is_the_sample_itself():
    r = Resampling.of([random_predictions(n=50)], replicates=3)
    assert (r.weights[:, 0] == 1).all()
    assert r.weights.shape == (len(r.patients), 4)


def test_slides_of_a_patient_weigh_the_same_in_every_cell():
    test_sets = cells()
    r = Resampling.of(test_sets.values(), replicates=20)
    for p in test_sets.values():
        weights = r.of_slides(p)
        for patient in np.unique(p.groups):
            rows = weights[p.groups == patient]
            assert (rows == rows[0]).all()
            np.testing.assert_array_equal(rows[0], r.weights[r.patients == patient][0])


def test_a_patient_tested_in_several_repeats_is_one_patient():
    p = patients_of(random_predictions(n=80), 40)
    once, twice = Resampling.of([p], 50), Resampling.of([p, p], 50)
    np.testing.assert_array_equal(once.weights, twice.weights)


def test_draws_depend_on_patients_and_seed_alone():
    p = patients_of(random_predictions(n=80), 40)
    shuffled = make(BRACS, p.labels[::-1], {}, groups=p.groups[::-1])
    shuffled.slide_ids[:] = p.slide_ids[::-1]
    np.testing.assert_array_equal(
        Resampling.of([p], 50).weights, Resampling.of([shuffled], 50).weights
    )
    assert (Resampling.of([p], 50).weights != Resampling.of([p], 50, seed=1).weights).any()


def test_classes_are_strata_when_one_has_few_patients():
    labels = [0] * 100 + [1] * (FEW - 1)
    r = Resampling.of([flat(labels, None)], 200)
    for stratum in np.unique(r.strata):
        total = r.weights[r.strata == stratum].sum(0)
        np.testing.assert_allclose(total, total[0], rtol=1e-3)
    assert len(np.unique(r.strata)) == 2


def test_with_enough_patients_everyone_is_drawn_among_all():
    r = Resampling.of([flat([0] * 100 + [1] * FEW, None)], 200)
    assert (r.strata == 0).all()
    assert r.weights[:100].sum(0).std() > 1


def test_the_dominant_class_of_a_patient_decides_its_stratum():
    r = Resampling.of([flat([0, 1, 1, 0, 0, 1, 0, 0], list("aaabbcdd"))], 10)
    assert r.patients.tolist() == list("abcd")
    assert r.strata.tolist() == [1, 0, 1, 0]


def test_the_variance_of_a_mean_is_unbiased_in_small_strata():
    """Rao and Wu: over draws, the variance of a total is that of textbook stratified sampling."""
    labels = [0] * 4 + [1] * 5
    values = np.array([1.0, 3.0, 2.0, 7.0, 0.0, 5.0, 1.0, 1.0, 4.0])
    p = flat(labels, None)
    r = Resampling.of([p], 200_000)
    total = values @ r.of_slides(p)[:, 1:]
    expected = 4 * values[:4].var(ddof=1) + 5 * values[4:].var(ddof=1)
    assert total.mean() == pytest.approx(values.sum(), rel=2e-3)
    assert total.var() == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("labels", "sizes"),
    [
        ([0, 1, 2, 2, 2, 3, 3], [2, 2, 3]),  # two lone patients join
        ([0, 1, 1, 1, 2, 2], [3, 3]),  # one lone patient joins the smallest class
        ([0, 1], [2]),
        ([0, 1, 1, 1, 1], [5]),
    ],
)
def test_nobody_is_drawn_among_himself_alone(labels, sizes):
    p = make(BRACS, labels, {"leaf": np.full((len(labels), 7), 1 / 7)})
    strata = Resampling.of([p], 1).strata
    assert sorted(np.unique(strata, return_counts=True)[1].tolist()) == sizes


def test_one_patient_is_too_few():
    with pytest.raises(DataError, match="of 1 patient; an interval requires at least two"):
        Resampling.of([flat([0, 1], ["a", "a"])])


def test_degrees_of_freedom_are_those_of_strata_and_of_patients_without_strata():
    assert Resampling.of([flat([0] * 30 + [1] * 40, None)], 1).freedom == pytest.approx(69)
    # strata of 2 and 4: (1/2 + 1/4)^2 / (1/4 + 1/48)
    found = Resampling.of([flat([0, 0, 1, 1, 1, 1], None)], 1).freedom
    assert found == pytest.approx(0.5625 / (0.25 + 1 / 48))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 6), min_size=2, max_size=60), st.integers(0, 99))
def test_weights_sum_to_the_patients_of_their_stratum(labels, seed):
    p = make(BRACS, labels, {"leaf": np.full((len(labels), 7), 1 / 7)})
    r = Resampling.of([p], 30, seed)
    for stratum in np.unique(r.strata):
        members = r.strata == stratum
        np.testing.assert_allclose(r.weights[members].sum(0), members.sum(), rtol=1e-3)
