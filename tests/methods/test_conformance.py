"""What every method of the package must do, whatever it computes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from narrow_methods import NARROW, OURS, narrow

from mil_bench.checks.method import scores as batches
from mil_bench.checks.method import shapes
from mil_bench.checks.method.suite import CHECKS
from mil_bench.methods import METHODS

FORMS = [
    pytest.param(name, switch.overrides, id=f"{name}-{form}")
    for name in OURS
    for form, switch in METHODS.get(name).ablations.switches.items()
    if not switch.levels
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.subject)
@pytest.mark.parametrize("name", OURS)
def test_every_method_keeps_every_promise(name, check):
    finding = check(narrow(name))
    assert finding.state == "ok", finding


@pytest.mark.parametrize("check", [batches.alone_as_in_a_batch, shapes.small_bags])
@pytest.mark.parametrize(("name", "overrides"), FORMS)
def test_every_form_that_ablations_make_takes_any_bag_in_any_company(name, overrides, check):
    candidate = narrow(name)
    finding = check(replace(candidate, settings={**candidate.settings, **overrides}))
    assert finding.state == "ok", finding


@pytest.mark.parametrize("name", OURS)
def test_every_card_says_how_the_method_differs_from_the_official_code(name):
    assert METHODS.get(name).paper.differs
    assert METHODS.get(name).paper.link.startswith(("https://", "arXiv:"))


def test_every_method_has_a_narrow_form():
    assert set(NARROW) == set(OURS)
