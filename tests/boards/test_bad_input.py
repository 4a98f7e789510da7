"""Whatever is wrong with runs: a sentence or a marked cell, and the rest goes on."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from paired_runs import analysis_of, paired_predictions, write_grid
from prediction_cases import BRACS
from run_folders import finish, make_spec

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.report import report_of
from mil_bench.boards.tables.pairs import compare_pairs
from mil_bench.evaluation.metrics import Score

BOTH = [("good", "poor")]


@pytest.mark.parametrize(
    ("cell", "told"), [("nan", "NaN or infinite"), ("0.9", "do not sum to 1"), ("-3", "outside")]
)
def test_a_run_with_wrong_probabilities_is_a_row_that_says_so(tmp_path, cell, told):
    write_grid(tmp_path, {"good": 3.0, "poor": 0.5, "broken": 1.0}, seeds=1, folds=2)
    path = next((tmp_path / "digit-bags" / "broken").glob("*/predictions.csv"))
    lines = path.read_text().splitlines()
    words = lines[1].split(",")
    lines[1] = ",".join([*words[:4], cell, *words[5:]])
    path.write_text("\n".join(lines) + "\n")
    report = report_of(build_boards(collect(tmp_path))[0])
    (problem,) = report.problems
    assert problem.startswith("broken: incomplete (1 unreadable)")
    assert told in problem
    assert report.verdict.startswith("good is better than poor")
    assert "1 of 3 rows have missing runs" in "\n".join(map(str, report.caveats))


def test_a_class_absent_from_a_fold_is_told_and_never_averaged_silently(tmp_path):
    for m, (method, skill) in enumerate({"good": 3.0, "poor": 0.5}.items()):
        for fold in (0, 1, 2):
            p = paired_predictions(skill, fold, 10 * m)
            if fold == 0:
                p = replace(p, labels=np.where(p.labels == 3, 4, p.labels))
            finish(tmp_path, make_spec(method, fold=fold), p, n_train=300)
    a = analysis_of(tmp_path)
    leaf = BRACS.leaves[3]
    report = report_of(a.board)
    assert f"fold 0 tests no slide of {leaf}: undefined there" in map(str, report.caveats)
    (pair,) = compare_pairs(a, Score("auc", "leaf", "direct", leaf), BOTH)
    assert pair.refits.n == 2
    (whole,) = compare_pairs(a, RANKED, BOTH)
    assert whole.refits.n == 3


def test_a_class_absent_everywhere_compares_to_nothing(tmp_path):
    for m, (method, skill) in enumerate({"good": 3.0, "poor": 0.5}.items()):
        for fold in (0, 1):
            p = paired_predictions(skill, fold, 10 * m)
            p = replace(p, labels=np.where(p.labels == 3, 4, p.labels))
            finish(tmp_path, make_spec(method, fold=fold), p, n_train=300)
    a = analysis_of(tmp_path)
    (pair,) = compare_pairs(a, Score("auc", "leaf", "direct", BRACS.leaves[3]), BOTH)
    assert (pair.decision, pair.refits.n) == ("", 0)
    assert math.isnan(pair.patients.value)
    assert report_of(a.board).table("thresholds") is not None


def test_names_that_are_hostile_stay_text(tmp_path):
    name = "</script><b>é=1+1"
    a = analysis_of(write_grid(tmp_path, {name.replace("/", ""): 4.0, "poor": 0.5}, seeds=1))
    report = report_of(a.board)
    assert name.replace("/", "") in report.verdict


def test_runs_that_do_not_say_how_many_slides_they_trained_on_leave_refits_open(tmp_path):
    for m, method in enumerate(("good", "poor")):
        for fold in (0, 1, 2):
            finish(tmp_path, make_spec(method, fold=fold), paired_predictions(5 - 4 * m, fold, m))
    a = analysis_of(tmp_path)
    (pair,) = compare_pairs(a, RANKED, BOTH)
    assert math.isnan(pair.refits.p)
    assert pair.decision == "better as trained"


def test_one_slide_per_class_and_two_patients_still_give_a_report(tmp_path):
    for m, method in enumerate(("good", "poor")):
        p = paired_predictions(3.0 - m, 0, m, n=4, patients=2)
        finish(tmp_path, make_spec(method), p)
    (board,) = build_boards(collect(tmp_path))
    assert Analysis.of(board, 100).board is board
    assert report_of(board).verdict
