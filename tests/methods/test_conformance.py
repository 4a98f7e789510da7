"""What every method of the package must do, whatever it computes."""

from __future__ import annotations

import pytest
from narrow_methods import NARROW, OURS, narrow

from mil_bench.conformance.suite import CHECKS
from mil_bench.methods import METHODS


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.subject)
@pytest.mark.parametrize("name", OURS)
def test_every_method_keeps_every_promise(name, check):
    finding = check(narrow(name))
    assert finding.state == "ok", finding


@pytest.mark.parametrize("name", OURS)
def test_every_card_says_how_the_method_differs_from_the_official_code(name):
    assert METHODS.get(name).paper.differs
    assert METHODS.get(name).paper.link.startswith(("https://", "arXiv:"))


def test_every_method_has_a_narrow_form():
    assert set(NARROW) == set(OURS)
