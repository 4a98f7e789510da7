"""Tests of one pair and their corrections, against statsmodels, scipy and baycomp."""

from __future__ import annotations

import baycomp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar as mcnemar_by_statsmodels
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from mil_bench.evaluation.inference.formulas import (
    detectable_difference,
    effective_size,
    holm,
    mcnemar,
    wilson,
)
from mil_bench.evaluation.inference.retraining import (
    Equivalence,
    PairedDifference,
    equivalence,
    probability_better,
)


@pytest.mark.parametrize("tests", [1, 2, 5, 20])
def test_holm_is_that_of_statsmodels(tests):
    p = np.round(np.random.default_rng(tests).beta(0.3, 3, tests), 2)  # with ties and zeros
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1], atol=1e-12)


def test_an_undefined_p_is_no_test():
    np.testing.assert_allclose(holm([0.01, np.nan, 0.04]), [0.02, np.nan, 0.04])
    assert holm([]).tolist() == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemar_is_that_of_statsmodels(rights):
    a, b = np.array(rights).T
    table = [[(a & b).sum(), (a & ~b).sum()], [(~a & b).sum(), (~a & ~b).sum()]]
    if table[0][1] + table[1][0]:
        assert mcnemar(a, b) == pytest.approx(mcnemar_by_statsmodels(table, exact=True).pvalue)
    else:
        assert mcnemar(a, b) == 1.0


@pytest.mark.parametrize("folds", [3, 5, 10])
@pytest.mark.parametrize("rope", [0.0, 0.01, 0.05])
def test_probabilities_of_equivalence_are_those_of_baycomp(folds, rope):
    rng = np.random.default_rng(folds)
    ours, theirs = rng.normal(0.72, 0.05, folds), rng.normal(0.70, 0.05, folds)
    found = equivalence(PairedDifference.of(ours - theirs, 1 / (folds - 1)), rope)
    expected = baycomp.CorrelatedTTest.probs(theirs, ours, rope=rope)
    below, within, above = expected if rope else (expected[0], 0.0, expected[1])
    assert (found.below, found.within, found.above) == pytest.approx(
        (below, within, above), abs=1e-12
    )


def test_equivalence_of_runs_that_never_differ_is_certain_and_of_one_fold_unknown():
    assert equivalence(PairedDifference.of([0.0] * 4, 0.25)) == Equivalence(0, 1, 0)
    assert equivalence(PairedDifference.of([0.5] * 4, 0.25)) == Equivalence(0, 0, 1)
    unknown = equivalence(PairedDifference.of([0.5], 0.25))
    assert np.isnan([unknown.below, unknown.within, unknown.above]).all()


def test_the_detectable_difference_of_bracs_is_that_of_the_protocol():
    """Accuracies; one in five slides is decided rightly by one method only (Connor 1987)."""
    for slides, points in ((87, 0.134), (547, 0.054), (2000, 0.028)):
        error = np.sqrt(0.2 / slides)
        assert detectable_difference(error) == pytest.approx(points, abs=5e-4)


def test_a_detectable_difference_is_found_in_four_of_five_samples():
    difference = detectable_difference(1.0)
    found = stats.norm.sf(stats.norm.ppf(0.975) - difference)
    assert found == pytest.approx(0.8)


@pytest.mark.parametrize(("right", "size"), [(12, 12), (0, 9), (7, 20), (50, 87)])
def test_wilson_is_that_of_statsmodels(right, size):
    expected = proportion_confint(right, size, method="wilson")
    assert wilson(right / size, size) == pytest.approx(expected, abs=1e-12)


def test_slides_of_few_patients_are_worth_fewer_slides():
    assert effective_size(np.array(list("abcd"))) == 4
    assert effective_size(np.array(list("aabb"))) == 2
    assert effective_size(np.array(list("aaab"))) == pytest.approx(16 / 10)
    assert np.isnan(wilson(0.5, effective_size(np.array([])))).all()


def test_p_better_counts_paired_wins_and_half_of_ties():
    found = probability_better([3, 2, 1, 1], [1, 1, 1, 2])
    assert found.value == 0.625
    assert found.low < 0.625 < found.high
    always = probability_better([2, 3, 4], [1, 1, 1])
    assert (always.value, always.low, always.high) == (1, 1, 1)
    assert np.isnan(probability_better([], []).low)
