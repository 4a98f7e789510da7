"""What follows from replicates: intervals, p, superiority, ranks and tiers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mil_bench.evaluation.inference.draws import Replicated, ScoreReplicates
from mil_bench.evaluation.inference.ranks import (
    Rank,
    bootstrap_tiers,
    rank_agreement,
    rank_intervals,
    tiers,
)

NAN = float("nan")


def normal(mean, spread=1.0, number=1999, seed=0):
    return Replicated(mean, mean + spread * np.random.default_rng(seed).normal(size=number))


def test_p_counts_draws_on_the_smaller_side_and_one_more():
    draws = np.array([-1.0, 0.0, *np.ones(17)])
    assert Replicated(1.0, draws).p == pytest.approx(2 * (2 + 1) / 20)
    assert Replicated(-1.0, -draws).p == pytest.approx(2 * (2 + 1) / 20)
    assert Replicated(1.0, np.ones(1999)).p == pytest.approx(0.001)
    assert Replicated(0.0, np.zeros(10)).p == 1


def test_p_of_normal_draws_is_that_of_the_normal_test():
    grid = stats.norm.ppf((np.arange(9999) + 0.5) / 9999)
    for shift in (0.5, 1.0, 2.0):
        expected = 2 * stats.norm.sf(shift)
        assert Replicated(shift, shift + grid).p == pytest.approx(expected, rel=0.02)


def test_ties_stay_ties_despite_rounding():
    noise = 1e-12 * np.array([1.0, -1.0] * 10)
    assert (Replicated(0.0, noise).p, Replicated(0.0, noise).superiority) == (1.0, 0.5)


def test_the_interval_holds_the_middle_of_the_draws():
    found = Replicated(0.5, np.linspace(0, 1, 2001))
    assert (found.low, found.high) == pytest.approx((0.025, 0.975))
    assert found.superiority == pytest.approx(1, abs=1e-3)


def test_few_patients_widen_the_interval_and_raise_p_as_students_t_does():
    grid = stats.norm.ppf((np.arange(99999) + 0.5) / 99999)
    few = Replicated(2.5, 2.5 + grid, freedom=5)
    expected = stats.t.interval(0.95, 5, 2.5)
    assert (few.low, few.high) == pytest.approx(expected, abs=5e-3)
    assert few.p == pytest.approx(2 * stats.t.sf(2.5, 5), rel=5e-3)
    assert (few.p < 0.05) == (few.low > 0)


def test_a_p_beyond_what_draws_can_tell_is_that_of_students_t():
    noise = np.random.default_rng(0).normal(size=2000)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    for distance in (5, 8):
        far = Replicated(distance, distance + noise, freedom=20)
        assert far.p == pytest.approx(2 * stats.t.sf(distance, 20), rel=1e-6)
        assert Replicated(-distance, noise - distance, freedom=20).p == pytest.approx(far.p)


def test_the_interval_of_a_score_moves_against_the_bias_of_its_draws():
    grid = stats.norm.ppf((np.arange(99999) + 0.5) / 99999)
    biased = ScoreReplicates(0.0, grid - 0.5)
    assert (biased.low, biased.high) == pytest.approx((0.5 - 1.96, 0.5 + 1.96), abs=5e-3)
    even = ScoreReplicates(0.0, grid)
    assert (even.low, even.high) == pytest.approx((-1.96, 1.96), abs=5e-3)
    constant = ScoreReplicates(1.0, np.ones(99))
    assert (constant.low, constant.high) == (1, 1)


def test_undefined_draws_take_no_part_and_too_many_leave_nothing():
    draws = np.array([0.0, 1.0, 2.0, NAN])
    assert (Replicated(1.0, draws).low, Replicated(1.0, draws).error) == pytest.approx((0.05, 1))
    for nothing in (Replicated(1.0, np.array([1.0, NAN, NAN])), Replicated(NAN, np.ones(3))):
        values = (nothing.low, nothing.high, nothing.p, nothing.error, nothing.superiority)
        assert np.isnan(values).all()


def test_ranks_of_methods_that_never_meet_are_certain():
    scores = {"b": normal(50, seed=1), "a": normal(90, seed=2), "c": normal(10, seed=3)}
    assert rank_intervals(scores, 1) == {
        "b": Rank(2, 2, 2, 0.0),
        "a": Rank(1, 1, 1, 1.0),
        "c": Rank(3, 3, 3, 0.0),
    }
    assert rank_intervals(scores, -1)["c"] == Rank(1, 1, 1, 1.0)
    assert rank_agreement(scores, 1) == 1


def test_ranks_of_twins_share_the_better_place():
    twin = normal(1.0)
    scores = {"a": twin, "b": twin, "worse": Replicated(0.0, twin.draws - 1)}
    found = rank_intervals(scores, 1)
    assert found["a"] == found["b"] == Rank(1, 1, 1, 1.0)
    assert found["worse"].rank == 3


def test_ranks_of_noise_are_wide_and_agree_with_nothing():
    scores = {f"m{i}": normal(1e-3 * i, seed=i) for i in range(4)}
    found = rank_intervals(scores, 1)
    assert all((r.low, r.high) == (1, 4) for r in found.values())
    assert sum(r.first for r in found.values()) == pytest.approx(1)
    assert abs(rank_agreement(scores, 1)) < 0.1


def test_agreement_is_kendalls_tau():
    values, draws = np.array([4.0, 3.0, 2.0, 1.0]), np.random.default_rng(0).normal(size=(4, 50))
    scores = {str(i): Replicated(values[i], draws[i]) for i in range(4)}
    expected = np.mean([stats.kendalltau(values, column).statistic for column in draws.T])
    assert rank_agreement(scores, 1) == pytest.approx(expected)


def test_a_method_without_a_score_has_no_rank_and_no_tier():
    scores = {"a": normal(1), "b": Replicated(NAN, np.full(1999, NAN))}
    assert list(rank_intervals(scores, 1)) == ["a"]
    assert bootstrap_tiers(scores, 1) == [("a",)]
    assert math.isnan(rank_agreement(scores, 1))
    assert rank_intervals({}, 1) == {}


def test_the_first_group_is_all_that_the_best_cannot_be_told_from_after_holm():
    p = {("a", "b"): 0.5, ("a", "c"): 0.024, ("a", "d"): 0.001, ("d", "c"): 0.9, ("c", "d"): 0.9}
    values = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.6}
    # Holm: d 0.003, c 0.048, b 0.5
    assert tiers(values, lambda x, y: p[x, y], 1) == [("a", "b"), ("c", "d")]
    p["a", "c"] = 0.026  # 0.052 after Holm
    assert tiers(values, lambda x, y: p[x, y], 1) == [("a", "b", "c"), ("d",)]


def test_lower_can_be_better_and_undefined_p_separates_nothing():
    values = {"a": 0.9, "b": 0.1, "c": NAN}
    assert tiers(values, lambda x, y: 0.0, -1) == [("b",), ("a",)]
    assert tiers(values, lambda x, y: NAN, 1) == [("a", "b")]
    assert tiers({}, lambda x, y: 1.0, 1) == []


def test_bootstrap_tiers_use_paired_draws():
    common = normal(0.0, spread=10.0)
    scores = {
        "better": Replicated(1.0, common.draws + normal(1.0, 0.1, seed=5).draws),
        "worse": Replicated(0.0, common.draws),
    }
    assert bootstrap_tiers(scores, 1) == [("better",), ("worse",)]


@given(st.permutations(["a", "b", "c", "d"]))
def test_names_and_their_order_do_not_matter(order):
    base = {"a": normal(3, 0.5, 99), "b": normal(2.5, 0.5, 99, 1), "c": normal(0, 0.5, 99, 2)}
    base["d"] = normal(-5, 0.5, 99, 3)
    turned = {name: base[name] for name in order}
    assert rank_intervals(turned, 1) == rank_intervals(base, 1)
    assert bootstrap_tiers(turned, 1) == bootstrap_tiers(base, 1)
