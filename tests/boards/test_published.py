"""Numbers from papers: complete, sourced, with a caveat, beside our own boards."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from paired_runs import paired_predictions
from run_folders import finish, make_spec

from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.formats.markdown import report_page
from mil_bench.boards.report import report_of

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


def _report(folder, **changes):
    finish(folder, make_spec(**changes), paired_predictions(1))
    (board,) = build_boards(collect(folder))
    return report_of(board)


def test_a_real_board_shows_what_others_report_and_never_ranks_it(tmp_path):
    found = _report(tmp_path, dataset="bracs", kind="real")
    table, source = found.table("published"), pd.read_csv(PUBLISHED / "bracs.csv")
    assert [row["value"].value for row in table.rows] == source["value"].tolist()
    assert [row["source"] for row in table.rows] == source["source"].tolist()
    assert all(row["value"].mark == "" for row in table.rows)
    assert len(found.table("overall").rows) == 1
    page = report_page(found, figure=False)
    assert "## Reported elsewhere" in page
    assert "| 55.6 | leaks: 72-87 %" in page


@pytest.mark.parametrize("changes", [{"dataset": "bracs", "kind": "simulated"}, {"kind": "real"}])
def test_other_boards_show_no_numbers_of_papers(tmp_path, changes):
    assert _report(tmp_path, **changes).table("published") is None
