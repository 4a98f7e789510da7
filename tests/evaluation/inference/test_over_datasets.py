"""Ranks over datasets, against scipy, statsmodels and scikit-posthocs."""

from __future__ import annotations

import numpy as np
import pytest
import scikit_posthocs
from scipy import stats
from statsmodels.stats.multitest import multipletests

from mil_bench.base.errors import DataError
from mil_bench.evaluation.inference.over_datasets import FEWEST, DatasetScores


def random_blocks(blocks=8, methods=4, seed=0):
    scores = np.random.default_rng(seed).normal(size=(blocks, methods)) + np.arange(methods) / 2
    return DatasetScores(tuple(f"m{i}" for i in range(methods)), scores)


def test_mean_ranks_and_critical_difference():
    blocks = DatasetScores(
        ("a", "b", "c", "d"), np.array([[4.0, 3, 2, 2]] * 7 + [[1.0, 2, 2, 2]] * 7)
    )
    np.testing.assert_allclose(blocks.mean_ranks, [2.5, 2, 2.75, 2.75])
    assert blocks.critical_difference() == pytest.approx(1.25, abs=5e-3)  # Demsar 2006, p. 14


@pytest.mark.parametrize("methods", [3, 5])
def test_friedman_agrees_with_scipy(methods):
    blocks = random_blocks(methods=methods)
    chi2 = stats.friedmanchisquare(*blocks.scores.T).statistic
    n = len(blocks.scores)
    f, p = blocks.friedman()
    assert f == pytest.approx((n - 1) * chi2 / (n * (methods - 1) - chi2))
    assert p == pytest.approx(stats.f.sf(f, methods - 1, (methods - 1) * (n - 1)))


def test_certain_and_absent_differences():
    certain = DatasetScores(("a", "b", "c"), np.tile([3.0, 2.0, 1.0], (6, 1)))
    assert certain.friedman() == (float("inf"), 0.0)
    assert DatasetScores(("a", "b", "c"), np.ones((6, 3))).friedman() == (0.0, 1.0)
    assert (DatasetScores(("a", "b", "c"), np.ones((6, 3))).wilcoxon() == 1).all()


def test_wilcoxon_over_all_pairs_is_corrected_by_holm():
    blocks, pairs = random_blocks(), [(i, j) for i in range(4) for j in range(i + 1, 4)]
    raw = [stats.wilcoxon(blocks.scores[:, i], blocks.scores[:, j]).pvalue for i, j in pairs]
    expected = multipletests(raw, method="holm")[1]
    found = blocks.wilcoxon()
    assert [found[i, j] for i, j in pairs] == pytest.approx(expected)
    np.testing.assert_array_equal(found, found.T)


def test_pairs_beyond_the_critical_difference_are_those_of_nemenyi_in_scikit_posthocs():
    blocks = random_blocks(30, 5, seed=2)
    p = scikit_posthocs.posthoc_nemenyi_friedman(blocks.scores).to_numpy()
    apart = np.abs(blocks.mean_ranks[:, None] - blocks.mean_ranks[None])
    np.testing.assert_array_equal(p < 0.05, apart > blocks.critical_difference())
    assert (p < 0.05).any()


def test_the_critical_value_is_that_of_the_tables():
    q = random_blocks(6, 5).critical_difference() / np.sqrt(5 * 6 / 36)
    assert q == pytest.approx(2.728, abs=5e-4)


def test_cliques_are_the_largest_bars():
    scores = np.array([[4, 3, 2, 1]] * 5 + [[3, 4, 1, 2]] * 5, dtype=float)
    blocks = DatasetScores(("a", "b", "c", "d"), scores)  # mean ranks 1.5 1.5 3.5 3.5, CD 1.48
    assert blocks.cliques() == [("a", "b"), ("c", "d")]
    assert DatasetScores(("a", "b"), np.tile([2.0, 1.0], (20, 1))).cliques() == []


def test_the_order_of_methods_does_not_matter():
    order, blocks = [2, 0, 3, 1], random_blocks(30)
    turned = DatasetScores(tuple(blocks.methods[i] for i in order), blocks.scores[:, order])
    np.testing.assert_allclose(turned.mean_ranks, blocks.mean_ranks[order])
    assert turned.friedman() == pytest.approx(blocks.friedman())
    assert turned.cliques() == blocks.cliques()


def test_too_few_datasets_are_refused_with_the_reason():
    assert stats.wilcoxon(np.arange(1.0, FEWEST)).pvalue > 0.05  # whatever happens on five
    with pytest.raises(DataError, match="3 datasets are too few for a test over datasets"):
        DatasetScores(("a", "b", "c"), np.ones((3, 3)))


def test_two_methods_one_method_and_holes_are_refused():
    with pytest.raises(DataError, match="use wilcoxon for two"):
        random_blocks(6, 2).friedman()
    with pytest.raises(DataError, match="requires at least two"):
        DatasetScores(("a",), np.ones((6, 1)))
    holes = np.ones((6, 2))
    holes[0, 0] = np.nan
    with pytest.raises(DataError, match="1 of 12 scores over datasets are missing"):
        DatasetScores(("a", "b"), holes)
