"""A change that can change a number of a run raises ``HARNESS`` or the version of the method.

The version is part of every run key. Without it, runs before and after the change would share keys,
rows and boards.
"""

from __future__ import annotations

import json

import numpy as np
import pytest
from numbers_of_methods import LOOSE, TABLE, TOLERANCE, numbers, ours, versions

from mil_bench.contract.spec import HARNESS

STORED = json.loads(TABLE.read_text())
WRITE = "then write the table again: python tests/numbers_of_methods.py"


@pytest.fixture(scope="module")
def present(tmp_path_factory):
    return numbers(ours(), tmp_path_factory.mktemp("runs"))


def test_the_table_is_of_these_versions():
    stored = {name: entry["version"] for name, entry in STORED.items() if name != "harness"}
    assert STORED["harness"] == HARNESS, WRITE
    assert stored == versions(ours()), WRITE


@pytest.mark.parametrize("method", ours())
def test_numbers_change_only_with_a_version(present, method):
    stored = {slide: row for slide, row in STORED[method].items() if slide != "version"}
    assert list(present[method]) == list(stored)
    change = max(np.abs(np.subtract(present[method][s], stored[s])).max() for s in stored)
    assert change < LOOSE.get(method, TOLERANCE), (
        f"raise the version of {method}, or HARNESS for all methods; {WRITE}"
    )
