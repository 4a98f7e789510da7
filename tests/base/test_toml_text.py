"""Text that the standard library reads back as the same values."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mil_bench.base.toml_text import toml_text

_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_PLAIN = st.one_of(_TEXT, st.integers(-(2**63), 2**63 - 1), st.booleans(),
                   st.floats(allow_nan=False, allow_infinity=False))  # fmt: skip
_VALUES = st.recursive(
    st.one_of(_PLAIN, st.lists(_PLAIN, max_size=3)),
    lambda inner: st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(_TEXT, _VALUES, max_size=4))
def test_values_come_back(values):
    assert tomllib.loads(toml_text(values)) == values


def test_lists_of_tables_and_missing_values():
    text = toml_text({"a": None, "rows": [{"x": 1, "deep": {"y": [True]}}, {"x": 2}]})
    assert tomllib.loads(text) == {"rows": [{"x": 1, "deep": {"y": [True]}}, {"x": 2}]}


def test_other_types_are_refused():
    with pytest.raises(TypeError):
        toml_text({"a": object()})
