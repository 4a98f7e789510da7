"""Differences over folds that share training bags, against Student, baycomp and a hand's sum."""

from __future__ import annotations

import baycomp
import numpy as np
import pytest
from scipy import stats

from mil_bench.evaluation.inference.retraining import PairedDifference, fold_differences


def test_without_shared_training_bags_the_interval_is_that_of_student():
    differences = np.array([0.4, -1.0, 2.0, 0.1, 0.6])
    found = PairedDifference.of(differences, 0.0)
    low, high = stats.t.interval(0.95, 4, differences.mean(), stats.sem(differences))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p == pytest.approx(stats.ttest_1samp(differences, 0).pvalue)


def test_shared_training_bags_widen_it_as_nadeau_and_bengio_say():
    found = PairedDifference.of([1.0, 2.0, 3.0], 1 / 3)
    # sd 1, so error = sqrt(1/3 + 1/3) = 0.8165; t of 0.975 with 2 degrees is 4.3027
    assert (found.n, found.mean) == (3, 2.0)
    assert found.error == pytest.approx(0.81650, abs=1e-5)
    assert found.half_width == pytest.approx(4.3027 * 0.8165, abs=1e-3)


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_the_posterior_is_the_correlated_t_of_baycomp(folds):
    rng = np.random.default_rng(folds)
    ours, theirs = rng.normal(0.72, 0.05, folds), rng.normal(0.70, 0.05, folds)
    found = PairedDifference.of(ours - theirs, 1 / (folds - 1))
    below, above = baycomp.CorrelatedTTest.probs(theirs, ours, rope=0)
    posterior = stats.t(found.n - 1, found.mean, found.error)
    assert posterior.sf(0) == pytest.approx(above, rel=1e-9)
    assert found.p == pytest.approx(2 * min(below, above), rel=1e-9)


def test_one_fold_has_a_difference_but_no_interval():
    found = PairedDifference.of([0.25], 0.25)
    assert (found.n, found.mean) == (1, 0.25)
    assert np.isnan([found.low, found.high, found.p]).all()


def test_equal_runs_differ_by_nothing_for_sure():
    found = PairedDifference.of([0.0, 0.0, 0.0], 0.5)
    assert (found.low, found.high, found.p) == (0.0, 0.0, 1.0)


def test_seeds_are_averaged_within_their_fold_and_do_not_count_as_folds():
    full = {(seed, fold): 0.1 * seed + fold for seed in (0, 1) for fold in (0, 1, 2)}
    gain = {(0, 0): 0.2, (1, 0): 0.4, (0, 1): -0.1, (1, 1): 0.1, (0, 2): 1.0, (1, 2): 0.0}
    other = {cell: full[cell] + gain[cell] for cell in reversed(full)}
    np.testing.assert_allclose(fold_differences(other, full), [0.3, 0.0, 0.5], atol=1e-12)


def test_different_cells_cannot_be_paired():
    with pytest.raises(ValueError, match="same seeds and folds"):
        fold_differences({(0, 0): 1.0}, {(0, 0): 1.0, (0, 1): 1.0})
