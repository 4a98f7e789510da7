"""The costs of methods are counted for all of them, and for those from outside."""

from __future__ import annotations

import pytest
from torch import Size
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from mil_bench.base.registry import OURS
from mil_bench.cards.cost import bag_of, build, exponent, fused, operations
from mil_bench.methods import METHODS


@pytest.mark.parametrize("name", [entry.name for entry in METHODS if entry.origin == OURS])
def test_every_method_can_be_counted(name: str):
    assert operations(METHODS.get(name), 16) > 0


def test_the_fused_attention_is_counted_as_its_two_products():
    # 2 heads of 3 queries, 5 keys and width 4: scores and means take 2 * (3 * 5 * 4) * 2 each
    assert fused(Size((1, 2, 3, 4)), Size((1, 2, 5, 4))) == 2 * 240


@pytest.mark.parametrize("name", ["transformer", "rrt"])
def test_attention_counts_the_same_with_and_without_its_matrix(name: str):
    counter = FlopCounterMode(display=False)
    with counter, sdpa_kernel(SDPBackend.MATH):
        build(METHODS.get(name)).eval().requires_grad_(False)(bag_of(200))
    assert operations(METHODS.get(name), 200) == counter.get_total_flops()


def test_growth_of_a_linear_cost_is_one():
    assert exponent([1.0, 4.0, 16.0]) == pytest.approx(1.0)
