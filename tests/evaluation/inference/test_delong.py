"""Standard errors of AUCs: definitions, identities, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mil_bench.evaluation.inference.delong import AucComponents, auc_difference


def sample(n=60, seed=0, ties=False, patients=20, effect=0.0):
    rng = np.random.default_rng(seed)
    patient = rng.integers(0, patients, n)
    positive = rng.random(n) < 0.4
    positive[:2] = True, False
    shared = effect * rng.normal(size=patients)[patient]
    a, b = (positive + shared + rng.normal(size=n) for _ in range(2))
    if ties:
        a, b = np.round(a), np.round(b)
    return positive, a, b, np.array([f"p{i}" for i in patient])


def obuchowski(positive, score, groups):
    return AucComponents.of(positive, score).clustered(positive, groups)


def delong(positive, score):
    return AucComponents.of(positive, score).unclustered()


def kernel(positive, score):
    x, y = score[positive][:, None], score[~positive][None]
    return (x > y) + 0.5 * (x == y)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 50), st.integers(0, 999), st.booleans())
def test_components_are_means_of_the_kernel(n, seed, ties):
    positive, score, *_ = sample(n, seed, ties)
    found, pairs = AucComponents.of(positive, score), kernel(positive, score)
    np.testing.assert_allclose(found.v10, pairs.mean(1), atol=1e-12)
    np.testing.assert_allclose(found.v01, pairs.mean(0), atol=1e-12)
    assert found.mean == pytest.approx(roc_auc_score(positive, score), abs=1e-12)


def test_the_variance_is_that_of_delong_et_al():
    positive, a, b, _ = sample(80, 3)
    ka, kb = kernel(positive, a), kernel(positive, b)
    s10, s01 = (np.cov(ka.mean(i), kb.mean(i)) for i in (1, 0))
    s = s10 / positive.sum() + s01 / (~positive).sum()
    assert delong(positive, a).error == pytest.approx(np.sqrt(s[0, 0]))
    pair = AucComponents.of(positive, a) - AucComponents.of(positive, b)
    expected = np.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
    assert pair.unclustered().error == pytest.approx(expected)
    assert pair.mean == pytest.approx(roc_auc_score(positive, a) - roc_auc_score(positive, b))


@settings(max_examples=60, deadline=None)
@given(st.integers(6, 60), st.integers(0, 999), st.booleans())
def test_patients_of_one_slide_give_delong(n, seed, ties):
    positive, a, *_ = sample(n, seed, ties)
    positive[2:4] = True, False
    alone = np.arange(n).astype(str)
    found, expected = obuchowski(positive, a, alone), delong(positive, a)
    assert (found.value, found.error) == pytest.approx((expected.value, expected.error), abs=1e-12)


def test_obuchowski_by_the_sums_of_the_paper():
    positive, a, _, groups = sample(50, 7, patients=12)
    pairs, theta = kernel(positive, a), roc_auc_score(positive, a)
    v10, v01 = pairs.mean(1) - theta, pairs.mean(0) - theta
    names = np.unique(groups)
    sums = np.array(
        [[v10[groups[positive] == g].sum(), v01[groups[~positive] == g].sum()] for g in names]
    )
    m, n = positive.sum(), (~positive).sum()
    i10, i01 = len(set(groups[positive])), len(set(groups[~positive]))
    s10 = i10 / ((i10 - 1) * m) * (sums[:, 0] ** 2).sum()
    s01 = i01 / ((i01 - 1) * n) * (sums[:, 1] ** 2).sum()
    s11 = len(names) / (len(names) - 1) * (sums[:, 0] * sums[:, 1]).sum()
    expected = np.sqrt(s10 / m + s01 / n + 2 * s11 / (m * n))
    assert obuchowski(positive, a, groups).error == pytest.approx(expected)


def test_copies_of_every_slide_change_the_error_by_nothing():
    positive, a, _, _ = sample(40, 1)
    patient = np.arange(40).astype(str)
    once, thrice = (
        obuchowski(np.repeat(positive, k), np.repeat(a, k), np.repeat(patient, k)) for k in (1, 3)
    )
    assert thrice.value == pytest.approx(once.value)
    assert thrice.error == pytest.approx(once.error)
    assert delong(np.repeat(positive, 3), np.repeat(a, 3)).error < 0.6 * once.error


def test_a_pair_is_antisymmetric_and_a_twin_differs_by_nothing():
    positive, a, b, groups = sample()
    ab, ba = auc_difference(positive, a, b, groups), auc_difference(positive, b, a, groups)
    assert (ab.value, ab.error, ab.p) == pytest.approx((-ba.value, ba.error, ba.p))
    assert (ab.low, ab.high) == pytest.approx((-ba.high, -ba.low))
    same = auc_difference(positive, a, a, groups)
    assert (same.value, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_the_error_is_the_spread_over_new_patients():
    found = [sample(60, seed, patients=15, effect=1.5) for seed in range(400)]
    errors = [obuchowski(positive, a, groups).error for positive, a, _, groups in found]
    values = [roc_auc_score(positive, a) for positive, a, *_ in found]
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(values), rel=0.1)


def test_one_side_alone_has_no_auc_and_one_patient_no_error():
    score = np.array([0.1, 0.4, 0.3])
    nothing = obuchowski(np.ones(3, bool), score, np.array(list("abc")))
    assert np.isnan([nothing.value, nothing.error, nothing.p]).all()
    assert np.isnan(delong(np.zeros(3, bool), score).value)
    one = obuchowski(np.array([True, False, True]), score, np.array(list("aaa")))
    assert one.value == 0
    assert np.isnan([one.error, one.low, one.p]).all()
