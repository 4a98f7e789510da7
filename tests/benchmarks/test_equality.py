"""Ours and the plain opponents compute the same function."""

import pytest

from benchmarks.contestants import Entry
from benchmarks.equality import Difference, difference
from benchmarks.plain import BUILDERS, plain
from benchmarks.workloads import TREE, WORKLOADS
from mil_bench.base.errors import UnknownNameError


@pytest.mark.parametrize("size", [1, 9, 130])
@pytest.mark.parametrize("method", BUILDERS)
def test_loss_and_gradient_equal_the_plain_form_within_1e_5(method, size):
    assert difference(Entry("ours", method, WORKLOADS["tiny"]), size).equal


def test_bf16_differs_more_than_float32_but_not_much():
    found = difference(Entry("ours", "abmil", WORKLOADS["tiny"], "bf16"), 130)
    assert not found.equal
    assert found.gradient < 0.05


def test_a_difference_beyond_1e_5_is_not_equal():
    assert Difference(1e-6, 9e-6).equal
    assert not Difference(1e-6, 2e-5).equal
    assert not Difference(float("nan"), 0.0).equal


def test_a_method_without_a_plain_form_is_named():
    with pytest.raises(UnknownNameError, match=r"'abmli'.*'abmil'"):
        plain("abmli")


@pytest.mark.parametrize("method", BUILDERS)
def test_an_optimiser_of_a_paper_moves_every_parameter_of_its_plain_form(method):
    form = plain(method)
    model = form.build(4, TREE)
    ids = {id(p) for group in form.optimizer(model).param_groups for p in group["params"]}
    assert ids == {id(p) for p in model.parameters()}
