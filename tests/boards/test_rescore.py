"""Scores under another tree are those of predictions that were written for that tree."""

from __future__ import annotations

import numpy as np
import pytest
from paired_runs import paired_predictions, write_grid
from prediction_cases import BRACS, DEEP
from run_folders import fail, finish, make_spec

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.formats.folder import board_folders
from mil_bench.boards.rescore import rescore, under_tree
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.scores import Scores

OTHER = Taxonomy.from_tree(
    "two", {"harmless": ["UDH", "PB", "N"], "harmful": {"x": ["ADH", "FEA"], "y": ["IC", "DCIS"]}}
)
RENAMED = Taxonomy.from_tree(
    "renamed", {"late": ["IC", "DCIS"], "early": ["ADH", "FEA"], "none": ["N", "PB", "UDH"]}
)


@pytest.mark.parametrize("tree", [OTHER, Taxonomy.flat("flat", BRACS.leaves[::-1])])
def test_scores_equal_those_of_the_file_read_under_the_tree(tmp_path, tree):
    folder, _ = finish(tmp_path, make_spec(), paired_predictions(1.0))
    (record,), told = rescore(collect(tmp_path), tree)
    oracle = Scores.of(Predictions.read(folder / "predictions.csv", tree))
    assert told == ""
    assert record.scores.values == pytest.approx(oracle.values, nan_ok=True)
    assert record.scores.support == oracle.support


def test_heads_of_equal_groups_are_kept_by_content_and_others_dropped(tmp_path):
    p = paired_predictions(1.0, heads=("coarse",))
    same = under_tree(p, RENAMED)
    names = {"late": "malignant", "early": "atypical", "none": "benign"}
    old = BRACS.classes["coarse"]
    for k, name in enumerate(RENAMED.classes["coarse"]):
        column = p.heads["coarse"][:, old.index(names[name])]
        assert np.array_equal(same.heads["coarse"][:, k], column)
    deeper = under_tree(p, OTHER)
    assert set(deeper.heads) == {"leaf"}
    finish(tmp_path, make_spec("hmil"), p)
    (record,), _ = rescore(collect(tmp_path), OTHER)
    assert record.lost_heads == ("coarse",)
    (board,) = build_boards([record])
    assert board.rows[0].label == "hmil"
    assert "left out: coarse of hmil" in board.notes[0].text
    assert "(bracs)" in board.notes[0].text
    assert board_folders([board], tmp_path)[0].name == "kfold-5--two"


def test_a_head_may_move_to_another_level():
    deep = Taxonomy.from_tree(
        "deep",
        {"all": {"a": ["N", "PB", "UDH"], "b": ["FEA", "ADH"]}, "rest": {"c": ["DCIS", "IC"]}},
    )
    p = paired_predictions(1.0, heads=("coarse",))
    moved = under_tree(p, deep)
    assert set(moved.heads) == {"leaf", "level2"}
    assert np.array_equal(moved.heads["level2"], p.heads["coarse"])


def test_the_own_tree_leaves_no_note(tmp_path):
    finish(tmp_path, make_spec(), paired_predictions(1.0, n=300))
    (board,) = build_boards(rescore(collect(tmp_path), BRACS)[0])
    assert board.notes == build_boards(collect(tmp_path))[0].notes


def test_there_and_back_changes_nothing():
    p = paired_predictions(1.0, heads=("coarse",))
    back = under_tree(under_tree(p, RENAMED), BRACS)
    assert np.array_equal(back.labels, p.labels)
    for level, probs in p.heads.items():
        assert np.array_equal(back.heads[level], probs)


def test_boards_of_two_trees_meet_under_one_and_keep_their_rows_apart(tmp_path):
    write_grid(tmp_path, {"hmil": 2.0}, seeds=1, folds=1)
    finish(tmp_path, make_spec("hmil", tree=OTHER), under_tree(paired_predictions(2.0), OTHER))
    assert len(build_boards(collect(tmp_path))) == 2
    (board,) = build_boards(rescore(collect(tmp_path), BRACS)[0])
    assert {row.label for row in board.rows} == {
        "hmil [trained_tree=bracs]",
        "hmil [trained_tree=two]",
    }


def test_runs_of_other_leaves_are_left_out_and_told(tmp_path):
    finish(tmp_path, make_spec(), paired_predictions(1.0))
    finish(tmp_path, make_spec(tree=DEEP, dataset="other"))
    fail(tmp_path, make_spec("hmil"))
    records, told = rescore(collect(tmp_path), OTHER)
    assert told == "1 run with other leaves than tree 'two' are left out"
    assert {r.status for r in records} == {"done", "failed"}
    with pytest.raises(DataError, match="no run has the leaves of tree 'nobody' \\(a, b\\)"):
        rescore(collect(tmp_path), Taxonomy.flat("nobody", ["a", "b"]))
