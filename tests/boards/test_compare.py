"""One pair: numbers of the board, slides decided differently, and what cannot be paired."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paired_runs import analysis_of, paired_predictions, write_grid
from prediction_cases import BRACS
from run_folders import finish, make_spec
from statsmodels.stats.contingency_tables import mcnemar

from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.boards.board import RANKED
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.compare import comparison, comparisons, shortened
from mil_bench.boards.rescore import common_board
from mil_bench.cli.main import main
from mil_bench.evaluation.inference.delong import auc_difference
from mil_bench.evaluation.scores import Scores


def boards_of(runs):
    return build_boards(collect(runs))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return write_grid(
        tmp_path_factory.mktemp("runs"), {"good": 3.0, "fair": 1.0, "poor": 0.3}, seeds=2, folds=2
    )


@pytest.fixture(scope="module")
def report(runs):
    return comparison(boards_of(runs)[0], "poor", "good")


def test_differences_are_those_of_the_whole_board(runs, report):
    """Draws depend on the patients alone, not on who else is there."""
    whole = analysis_of(runs, replicates=2000).difference("good", "poor", RANKED)
    row = next(r for r in report.table("scores").rows if r.score == RANKED)
    found = row["difference"]
    assert (row["method"], row["other"]) == ("good", "poor")
    assert (found.value, found.low, found.high) == (whole.value, whole.low, whole.high)


def test_slides_are_those_whose_mean_probabilities_decide_differently(runs, report):
    rows = {row.label: row for row in boards_of(runs)[0].rows}
    expected = {}
    for fold in (0, 1):
        good, poor = (
            np.mean([rows[m].predictions[seed, fold].heads["leaf"] for seed in (0, 1)], axis=0)
            for m in ("good", "poor")
        )
        p = rows["good"].predictions[0, fold]
        for i, slide in enumerate(p.slide_ids):
            if good[i].argmax() != poor[i].argmax():
                label = BRACS.leaves[p.labels[i]]
                said = (BRACS.leaves[good[i].argmax()], BRACS.leaves[poor[i].argmax()])
                expected[slide, fold] = (label, *said)
    table = report.table("slides")
    found = {
        (r["slide"], r["fold"].value): (r["label"], r["first"], r["second"]) for r in table.rows
    }
    assert found == expected
    for r in table.rows:
        right = {"first": r["first"], "second": r["second"]}.get(r["right"])
        assert right == r["label"] if right else r["label"] not in (r["first"], r["second"])
    gaps = [abs(r["first_p"].value - r["second_p"].value) for r in table.rows]
    assert gaps == sorted(gaps, reverse=True)
    assert len(shortened(report, 3).table("slides").rows) == 3


def test_classes_hold_both_scores_and_their_difference(report):
    for row in report.table("classes").rows:
        difference = row["first"].value - row["second"].value
        assert row["difference"].value == pytest.approx(difference)


def test_one_test_set_has_p_by_formula_and_several_have_not(tmp_path):
    """McNemar's of the accuracy, where every slide is a patient, and Obuchowski's of an AUC."""
    runs = write_grid(tmp_path / "one", {"good": 3.0, "poor": 0.5}, seeds=1, folds=1, n=60)
    (board,) = boards_of(runs)
    report = comparison(board, "good", "poor")
    classes = report.table("classes")
    good, poor = (row.predictions[0, 0] for row in sorted(board.rows, key=lambda r: r.label))
    row = next(r for r in classes.rows if (r["class"], r["score"]) == ("DCIS", "auc"))
    k = BRACS.index("DCIS")
    expected = auc_difference(
        good.labels == k, good.heads["leaf"][:, k], poor.heads["leaf"][:, k], good.groups
    )
    assert row["p_formula"].value == pytest.approx(expected.p)
    assert report.table("scores").column("p").name == "p"
    assert "p_formula" not in {c.name for c in report.table("scores").columns}  # patients repeat
    for name, skill in (("good", 3.0), ("poor", 0.5)):
        p = paired_predictions(skill)
        finish(tmp_path / "alone", make_spec(name), replace(p, groups=p.slide_ids))
    (board,) = boards_of(tmp_path / "alone")
    accuracy = next(
        r
        for r in comparison(board, "good", "poor").table("scores").rows
        if r["score"] == "accuracy"
    )
    right = [
        row.predictions[0, 0].heads["leaf"].argmax(1) == row.predictions[0, 0].labels
        for row in board.rows
    ]
    table = [[0, (right[0] & ~right[1]).sum()], [(right[1] & ~right[0]).sum(), 0]]
    assert accuracy["p_formula"].value == pytest.approx(mcnemar(table, exact=True).pvalue)
    several = write_grid(tmp_path / "two", {"good": 3.0, "poor": 0.5}, seeds=1, folds=2)
    (board,) = boards_of(several)
    for table in comparison(board, "good", "poor").tables:
        assert "p_formula" not in {column.name for column in table.columns}


def test_other_slides_are_an_error_unless_the_common_ones_are_asked_for(tmp_path):
    p, q = paired_predictions(3.0), paired_predictions(1.0, number=5)
    keep = np.arange(len(q)) < 60
    cut = replace(
        q,
        slide_ids=q.slide_ids[keep],
        groups=q.groups[keep],
        labels=q.labels[keep],
        heads={level: probs[keep] for level, probs in q.heads.items()},
    )
    finish(tmp_path, make_spec("good"), p)
    finish(tmp_path, make_spec("poor"), cut)
    (board,) = boards_of(tmp_path)
    with pytest.raises(DataError, match=r"30 slides are predicted by one of them only.*--common"):
        comparison(board, "good", "poor")
    shared = common_board(board)
    assert shared.notes[0].text == ("compared on shared slides: 30 of 150 predictions are excluded")
    good = next(row for row in shared.rows if row.label == "good")
    (run,) = good.done.values()
    assert len(run.sets["test"]) == 60
    assert run.scores == Scores.of(run.sets["test"])
    found = comparison(board, "good", "poor", shared=True)
    assert found.caveats.count(shared.notes[0]) == 1
    assert common_board(shared) is shared


def test_cells_that_only_one_has_count_only_when_the_common_ones_are_asked_for(tmp_path):
    write_grid(tmp_path, {"good": 3.0, "poor": 0.5}, seeds=1, folds=2)
    finish(tmp_path, make_spec("good", fold=2), paired_predictions(3.0, 2))
    (board,) = boards_of(tmp_path)
    with pytest.raises(DataError, match="poor cannot be compared: has 2 of 3 cells"):
        comparison(board, "good", "poor")
    assert comparison(board, "good", "poor", shared=True).board.rows[0].coverage == "2 of 2"


def test_nothing_in_common_is_told(tmp_path):
    finish(tmp_path, make_spec("good", fold=0), paired_predictions(3.0, 0))
    finish(tmp_path, make_spec("poor", fold=1), paired_predictions(0.5, 1))
    (board,) = boards_of(tmp_path)
    with pytest.raises(DataError, match=r"no slide of .* is predicted by all of good, poor"):
        common_board(board)


def test_names_that_are_no_rows_are_told(runs):
    boards = boards_of(runs)
    with pytest.raises(UnknownNameError, match="'goood'; did you mean 'good'"):
        comparisons(boards, "goood", "poor")
    with pytest.raises(UnknownNameError, match="dataset 'bracs' of these runs"):
        comparisons(boards, "good", "poor", "bracs")
    with pytest.raises(DataError, match="the same row"):
        comparisons(boards, "good", "good")


def test_the_command_prints_the_pair_and_writes_its_tables(runs, tmp_path, capsys):
    words = ["compare", "good", "poor", "--runs", str(runs), "--out", str(tmp_path)]
    with pytest.raises(SystemExit) as done:
        main(words)
    assert done.value.code == 0
    told = capsys.readouterr().out
    assert "good is better than poor" in " ".join(told.split())
    names = {path.name for path in tmp_path.rglob("*.csv")}
    assert {"scores.csv", "classes.csv", "slides.csv"} <= names
