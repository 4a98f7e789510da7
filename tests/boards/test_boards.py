"""Boards: who shares a table, and how rows are told apart."""

from __future__ import annotations

import json
import math
import shutil

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prediction_cases import FLAT, GRADES, random_predictions
from run_folders import finish, make_spec
from sklearn.metrics import roc_auc_score

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.board import Spread
from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.formats.folder import board_folders, safe_name
from mil_bench.datasets import DATASETS
from mil_bench.evaluation.metrics import Score
from mil_bench.methods import METHODS
from mil_bench.runs.plan import resolve


def boards_of(runs):
    return build_boards(collect(runs))


def test_auc_is_averaged_over_folds_never_pooled(tmp_path):
    """Two folds ranked perfectly on scales that do not agree: pooling would hide it."""
    low = np.array([[0.9, 0.1], [0.8, 0.2]] * 5)
    high = np.array([[0.4, 0.6], [0.3, 0.7]] * 5)
    truth = np.array([0, 1] * 5)
    folds = []
    for fold, probs in enumerate((low, high)):
        p = random_predictions(FLAT, labels=truth)
        p.heads[LEAF][:] = probs
        finish(tmp_path, make_spec(fold=fold, tree=FLAT), p)
        folds.append(p)
    (row,) = boards_of(tmp_path)[0].rows
    assert row.spread(Score("macro_auc")).mean == 1
    assert roc_auc_score(np.tile(truth, 2), np.vstack([low, high])[:, 1]) < 1


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 3), st.integers(0, 4)),
        st.floats(0, 1) | st.just(math.nan),
        max_size=20,
    )
)
def test_the_spread_of_any_grid_with_holes_is_that_of_pandas(cells):
    spread = Spread.of(cells)
    table = pd.Series(cells, dtype=float).dropna()
    assert spread.n == len(table)
    if table.empty:
        assert math.isnan(spread.mean)
        return
    grid = table.unstack()
    assert spread.mean == pytest.approx(grid.mean(axis=1).mean())
    whole_folds, whole_seeds = grid.dropna(axis=1), grid.dropna(axis=0)
    assert spread.sd_folds == pytest.approx(whole_folds.mean(axis=0).std(), nan_ok=True, abs=1e-12)
    assert spread.sd_seeds == pytest.approx(whole_seeds.mean(axis=1).std(), nan_ok=True, abs=1e-12)


def test_kinds_datasets_encoders_splits_and_trees_never_share_a_table(tmp_path):
    specs = [
        make_spec(),
        make_spec(kind="real"),
        make_spec(kind="simulated"),
        make_spec(dataset="bracs"),
        make_spec(encoder="uni"),
        make_spec(split="official"),
        make_spec(split_digest="0ther"),
        make_spec(labels_digest="0ther"),
        make_spec(features_digest="0ther"),
        make_spec(tree=GRADES),
    ]
    for spec in specs:
        finish(tmp_path / "runs", spec)
    boards = boards_of(tmp_path / "runs")
    assert len(boards) == len(specs)
    assert all(len(board.rows) == 1 for board in boards)
    folders = board_folders(boards, tmp_path / "out")
    assert len(set(folders)) == len(specs)
    assert {path.relative_to(tmp_path / "out").parts[0] for path in folders} == {
        "real",
        "embedded",
        "simulated",
    }


def test_variants_of_a_method_are_rows_named_by_what_differs(tmp_path):
    finish(tmp_path, make_spec("abmil", config={"gated": True, "hidden": 128}))
    finish(tmp_path, make_spec("abmil", config={"gated": False, "hidden": 128}))
    finish(tmp_path, make_spec("mean", trainer={"lr": 1e-4}))
    finish(tmp_path, make_spec("mean", trainer={"lr": 1e-3}))
    finish(tmp_path, make_spec("mean", trainer={"lr": 1e-4}, precision="bf16"))
    finish(tmp_path, make_spec("max"))
    (board,) = boards_of(tmp_path)
    assert {row.label for row in board.rows} == {
        "abmil [gated=true]",
        "abmil [gated=false]",
        "mean",
        "mean [lr=0.001]",
        "mean [precision=bf16]",
        "max",
    }
    assert len({row.settings for row in board.rows if row.method == "abmil"}) == 2


def test_the_default_is_named_by_its_method_and_others_by_what_they_change(tmp_path):
    abmil = METHODS.get("abmil")
    usual = resolve({"abmil": abmil}, DATASETS.get("digit-bags").card, {})["abmil"]
    trainer, config = (part.model_dump(mode="json") for part in (usual.trainer, usual.method))
    other, gated = trainer | {"lr": 0.003}, not config["gated"]
    for settings in (
        {"config": config, "trainer": trainer},
        {"config": config, "trainer": other},
        {"config": config | {"gated": gated}, "trainer": other},
    ):
        finish(tmp_path, make_spec(method_version=abmil.version, **settings))
    (board,) = boards_of(tmp_path)
    assert {row.label for row in board.rows} == {
        "abmil",
        "abmil [lr=0.003]",
        f"abmil [gated={json.dumps(gated)}, lr=0.003]",
    }


@pytest.mark.parametrize(
    ("name", "folder"),
    [("../../x", "x"), ("a/b", "a-b"), ("..", "unnamed"), ("uni_v2-1.0", "uni_v2-1.0")],
)
def test_names_become_single_plain_folders(name, folder):
    assert safe_name(name) == folder


def test_a_copy_of_a_run_counts_once(tmp_path):
    spec = make_spec()
    finish(tmp_path, spec)
    other = tmp_path / "copy"
    finish(other, spec)
    shutil.move(other / "digit-bags", tmp_path / "zz-copy")
    (board,) = boards_of(tmp_path)
    assert [row.coverage for row in board.rows] == ["1 of 1"]
