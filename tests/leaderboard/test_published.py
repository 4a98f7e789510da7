"""Numbers from papers: complete, sourced, with a caveat, and outside our own boards."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

PUBLISHED = Path(__file__).resolve().parents[2] / "leaderboards" / "published"
COLUMNS = [
    "dataset",
    "split",
    "encoder",
    "method",
    "metric",
    "value",
    "source",
    "split_caveat",
    "checked",
]


@pytest.mark.parametrize("name", ["bracs", "panda", "ccc"])
def test_every_published_number_has_a_source_and_a_caveat(name):
    table = pd.read_csv(PUBLISHED / f"{name}.csv")
    assert list(table.columns) == COLUMNS
    assert not table.isna().any(axis=None)
    assert (table["dataset"] == name).all()
    assert table["value"].between(0, 1).all()
    assert set(table["checked"]) <= {"yes", "no"}
    assert not table.duplicated(["split", "encoder", "method", "metric"]).any()


def test_the_hmil_row_says_that_its_splits_leak():
    table = pd.read_csv(PUBLISHED / "bracs.csv")
    hmil = table[table["method"] == "hmil"]
    assert hmil["value"].tolist() == [0.556, 0.830, 0.386, 0.390]
    assert hmil["split_caveat"].str.contains("leaks: 72-87 %").all()
