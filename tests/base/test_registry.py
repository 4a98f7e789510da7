"""The registry: lazy, unique, extensible, and helpful about typing errors."""

from __future__ import annotations

import pytest

from mil_bench.base.errors import MilBenchError, UnknownNameError
from mil_bench.base.registry import Registry


def test_a_lazy_entry_is_imported_only_when_asked_for():
    registry: Registry[object] = Registry("thing", "no.such.group")
    registry.add("broken", "no_such_module:Thing", "never imported by listing")
    registry.add("square", "math:sqrt", "a function")
    assert registry.names() == ["broken", "square"]
    assert registry.get("square")(9) == 3
    with pytest.raises(ModuleNotFoundError):
        registry.get("broken")


def test_two_entries_of_one_name_are_an_error_that_names_both_origins():
    registry: Registry[object] = Registry("thing", "no.such.group")
    registry.add("a", "math:sqrt", "", origin="first")
    with pytest.raises(MilBenchError, match=r"second is already registered by first"):
        registry.add("a", "math:cos", "", origin="second")


def test_an_unknown_name_gets_the_nearest_three():
    registry: Registry[object] = Registry("thing", "no.such.group")
    for name in ("abmil", "abmil-x", "abmil-y", "hmil", "zebra"):
        registry.add(name, "math:sqrt", "")
    with pytest.raises(UnknownNameError) as caught:
        registry.get("abmill")
    assert caught.value.nearest[0] == "abmil"
    assert len(caught.value.nearest) == 3
    assert "zebra" not in str(caught.value)


def test_names_that_the_message_leaves_out_are_counted():
    registry: Registry[object] = Registry("thing", "no.such.group")
    for name in (f"m{i:02}" for i in range(15)):
        registry.add(name, "math:sqrt", "")
    with pytest.raises(UnknownNameError, match=r"known: 'm00', .*'m11' and 3 more\."):
        registry.get("zzz")


def test_the_decorator_takes_the_summary_from_the_docstring():
    registry: Registry[type] = Registry("thing", "no.such.group")

    @registry.register("mine")
    class Mine:
        """First line.

        More.
        """

    assert registry.get("mine") is Mine
    assert next(iter(registry)).summary == "First line."
