"""Operating points: the threshold from validation alone, the rates from test alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paired_runs import analysis_of, paired_predictions, write_grid
from prediction_cases import BRACS
from sklearn.metrics import recall_score

from mil_bench.boards.formats.grid import grids_of
from mil_bench.boards.page.data import encode
from mil_bench.boards.report import Report
from mil_bench.boards.tables.thresholds import (
    RULES,
    operating_point,
    thresholds_table,
    youden_threshold,
)


@pytest.fixture
def board(tmp_path):
    """Validation slides are others than those of the test."""
    analysis = analysis_of(write_grid(tmp_path, {"good": 2.0}, seeds=1, folds=2), 300)
    (row,) = analysis.board.rows
    runs = {
        cell: replace(run, sets={**run.sets, "val": paired_predictions(2.0, 50 + cell[1])})
        for cell, run in row.runs.items()
    }
    return replace(analysis, board=replace(analysis.board, rows=(replace(row, runs=runs),)))


def point(analysis, k=0, rule="Youden"):
    (row,) = analysis.board.rows
    return operating_point(row, "leaf", "direct", k, RULES[rule], analysis.resampling)


def test_rates_are_those_of_the_test_at_the_threshold_of_validation(board):
    thresholds, sensitivity, specificity = [], [], []
    for run in board.board.rows[0].done.values():
        val, test = run.sets["val"], run.sets["test"]
        thresholds.append(youden_threshold(val.labels == 2, val.heads["leaf"][:, 2]))
        called = test.heads["leaf"][:, 2] >= thresholds[-1]
        sensitivity.append(recall_score(test.labels == 2, called))
        specificity.append(recall_score(test.labels != 2, ~called))
    found = point(board, 2)
    assert found.threshold == pytest.approx(np.mean(thresholds))
    assert found.sensitivity.value == pytest.approx(np.mean(sensitivity))
    assert found.specificity.value == pytest.approx(np.mean(specificity))
    assert found.specificity.low < found.specificity.value < found.specificity.high


def test_other_test_labels_do_not_move_the_threshold(board):
    before = point(board).threshold
    (row,) = board.board.rows
    runs = {
        cell: replace(
            run,
            sets={
                **run.sets,
                "test": replace(run.sets["test"], labels=np.roll(run.sets["test"].labels, 1)),
            },
        )
        for cell, run in row.runs.items()
    }
    other = replace(board, board=replace(board.board, rows=(replace(row, runs=runs),)))
    assert point(other).threshold == before
    assert point(other).sensitivity.value != point(board).sensitivity.value


def test_a_class_absent_from_validation_has_no_threshold_there(board):
    (row,) = board.board.rows
    first, second = row.runs
    val = row.runs[first].sets["val"]
    none = replace(val, labels=np.where(val.labels == 0, 1, val.labels))
    run = replace(row.runs[first], sets={**row.runs[first].sets, "val": none})
    cut = replace(
        board, board=replace(board.board, rows=(replace(row, runs={**row.runs, first: run}),))
    )
    found = point(cut)
    assert found.undefined == 1
    alone = row.runs[second].sets["val"]
    assert found.threshold == youden_threshold(alone.labels == 0, alone.heads["leaf"][:, 0])
    notes = [r["threshold"].note for r in thresholds_table(cut).rows if r["class"] == "N"]
    assert "no threshold in 1 runs" in notes


def test_runs_without_validation_have_no_table(board):
    (row,) = board.board.rows
    runs = {c: replace(r, sets={"test": r.sets["test"]}) for c, r in row.runs.items()}
    bare = replace(board, board=replace(board.board, rows=(replace(row, runs=runs),)))
    assert thresholds_table(bare) is None


def test_table_has_every_class_under_every_rule(board):
    table = thresholds_table(board)
    rows = [r for r in table.rows if r["level"] == "leaf"]
    assert {r["class"] for r in rows} == set(BRACS.leaves)
    assert len(rows) == 2 * len(BRACS.leaves)


def test_a_long_table_is_not_printed_but_shown_on_pages_and_when_asked(board):
    table = thresholds_table(board)
    assert len(table.rows) == 2 * (len(BRACS.leaves) + len(BRACS.classes["coarse"]))
    longer = replace(table, printed=False)
    report = Report(board.board, board, (longer,), "", (), ())
    assert grids_of(report) == []
    (grid,) = grids_of(report, long=True)
    assert {"Threshold", "Sens ↑", "Spec ↑"} <= set(grid.heads)
    assert set(encode(longer)["shown"]) == {"threshold", "sensitivity", "specificity"}
