"""HMIL's curriculum."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mil_bench.methods.hmil.losses import beta, level_weights, released_temperature


def test_two_levels_have_the_weights_of_the_paper_and_of_the_released_code():
    for epoch in (0, 1, 99, 199):
        progress = epoch / 200
        assert level_weights("linear", progress, 2) == [1 - epoch / 200, 1]
        assert level_weights("quadratic", progress, 2) == [pytest.approx(1 - progress**2), 1]
        assert level_weights("constant", progress, 2) == [0.5, 1]


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 6))
def test_upper_levels_fade_first_and_no_weight_grows(early, late, n_levels):
    early, late = sorted((early, late))
    before, after = (level_weights("linear", p, n_levels) for p in (early, late))
    assert before == sorted(before)
    assert all(0 <= b <= a <= 1 for a, b in zip(before, after, strict=True))
    assert before[-1] == after[-1] == 1


@given(st.integers(2, 6))
def test_only_the_leaves_are_left_at_the_end(n_levels):
    assert level_weights("linear", 1.0, n_levels) == [0.0] * (n_levels - 1) + [1]
    assert beta("linear", 1.0) == beta("quadratic", 1.0) == 0


def test_the_released_temperature_falls_and_returns():
    assert [released_temperature(p) for p in (0, 0.5, 1)] == pytest.approx([1.0, 0.1, 1.0])
    assert released_temperature(0.25) == pytest.approx(0.55)
