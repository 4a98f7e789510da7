"""Versions of formats: missing is 1, newer is one sentence."""

from __future__ import annotations

import pytest

from mil_bench.base.errors import DataError
from mil_bench.base.formats import format_of


@pytest.mark.parametrize(("content", "version"), [({}, 1), ({"format": 1}, 1), ({"format": 2}, 2)])
def test_a_file_without_a_version_has_the_first(content, version):
    assert format_of(content, 2, "result.json") == version


def test_a_newer_format_is_refused_in_one_sentence():
    sentence = (
        r"^result\.json was written by a newer mil-bench \(format 3; this version reads up to 2\); "
        r"upgrade mil-bench\.$"
    )
    with pytest.raises(DataError, match=sentence):
        format_of({"format": 3}, 2, "result.json")


@pytest.mark.parametrize("value", ["2", 0, -1, 1.5, True, None, [2]])
def test_what_is_no_version_is_refused(value):
    with pytest.raises(DataError, match="expected a whole number from 1 to 2"):
        format_of({"format": value}, 2, "result.json")
