"""Predictions that were changed after the run are a row that says so, and never a score."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from paired_runs import write_grid
from prediction_cases import BRACS
from run_folders import finish, make_spec, protect

from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect, read_record
from mil_bench.boards.compare import comparisons
from mil_bench.boards.frames import leaderboard, read_boards, reports_of
from mil_bench.boards.page.build import write_page
from mil_bench.boards.page.runs import runs_table


def forge(folder):
    """A probability of .94 for the label of every slide, .06 for the other classes together."""
    path = folder / "predictions.csv"
    table = pd.read_csv(path, dtype={"label": str})
    leaves = [column for column in table if column.startswith("leaf:")]
    forged = np.full((len(table), len(leaves)), 0.06 / (len(leaves) - 1))
    for i, label in enumerate(table["label"]):
        forged[i, leaves.index(f"leaf:{label}")] = 0.94
    table[leaves] = forged
    table.to_csv(path, index=False)


@pytest.fixture
def runs(tmp_path):
    """Two methods of two folds; the predictions of the poor one are forged."""
    runs = write_grid(tmp_path / "runs", {"good": 3.0, "poor": 0.3}, seeds=1, folds=2)
    folders = [path.parent for path in runs.glob("*/*/*/spec.json")]
    for folder in folders:
        protect(folder)
    for folder in folders:
        if folder.parent.name == "poor":
            forge(folder)
    return runs


def test_without_its_digest_the_forgery_would_lead(runs):
    """What the digest is for: the same files as runs of format 1."""
    for path in runs.glob("*/*/*/result.json"):
        result = json.loads(path.read_text())
        del result["format"], result["predictions_sha256"]
        path.write_text(json.dumps(result))
    (board,) = build_boards(collect(runs))
    assert [row.label for row in board.rows] == ["poor", "good"]


def test_a_forged_file_is_a_row_with_the_status_changed_and_no_score(runs):
    records = {r.spec.method: r for r in collect(runs)}
    assert (records["good"].status, records["poor"].status) == ("done", "changed")
    assert records["poor"].scores is None
    assert not records["poor"].sets
    (board,) = build_boards(collect(runs))
    assert [row.label for row in board.rows] == ["good", "poor"]
    assert board.rows[1].status.startswith("no result (2 changed): predictions.csv is not the file")


def test_every_view_of_the_board_says_changed(runs, tmp_path):
    (frames,) = leaderboard(runs)
    overall = frames["overall"].set_index("method")
    assert np.isnan(overall.loc["poor", "balanced_accuracy"])
    assert np.isnan(overall.loc["poor", "rank"])
    assert "changed" in overall.loc["poor", "status"]
    assert any("poor: no result (2 changed)" in problem for problem in frames.problems)
    reports = reports_of(read_boards(runs)[0])
    rows = runs_table(reports[0].board, tmp_path).rows
    assert [row["status"] for row in rows if row["method"] == "poor"] == ["changed", "changed"]
    assert all("balanced_accuracy" not in row.cells for row in rows if row["method"] == "poor")
    assert "restore it, or rerun" in write_page(reports, tmp_path).read_text()


def test_a_forged_method_cannot_be_compared(runs):
    boards, _ = read_boards(runs)
    with pytest.raises((DataError, UnknownNameError), match="poor"):
        comparisons(boards, "good", "poor")


def test_one_forged_run_of_several_keeps_the_row_out_of_the_ranking(tmp_path):
    runs = tmp_path / "runs"
    folder, _ = finish(runs, make_spec("poor"))
    finish(runs, make_spec("poor", fold=1))
    forge(protect(folder))
    (board,) = build_boards(collect(runs))
    assert board.rows[0].status.startswith("incomplete (1 changed)")
    assert not board.rows[0].competes


def test_a_digest_that_was_changed_with_the_file_is_believed_and_bad_ones_are_not(tmp_path):
    """A digest protects against changes, not against a liar: `submit verify` trains again."""
    folder, _ = finish(tmp_path, make_spec(tree=BRACS))
    forge(folder)
    assert read_record(protect(folder)).status == "done"
    result = json.loads((folder / "result.json").read_text())
    for digest in ("", "0" * 64, 7):
        (folder / "result.json").write_text(json.dumps(result | {"predictions_sha256": digest}))
        assert read_record(folder).status == "changed"
