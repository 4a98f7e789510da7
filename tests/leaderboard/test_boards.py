"""Boards: who shares a table, how rows are told apart, what the numbers are."""

from __future__ import annotations

import io
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prediction_cases import BRACS, FLAT, GRADES, random_predictions
from rich.console import Console
from run_folders import begin, fail, finish, make_spec

from mil_bench.evaluation.metrics_table import facts
from mil_bench.evaluation.overall import overall_scores
from mil_bench.evaluation.ranking import macro_auc
from mil_bench.leaderboard import build_boards, collect, show, write_boards, write_figures
from mil_bench.leaderboard.csv_io import safe_name
from mil_bench.leaderboard.spread import Spread
from mil_bench.leaderboard.tables.frames import classwise_table, hierarchical_table, overall_table
from mil_bench.taxonomy import LEAF


def boards_of(runs):
    return build_boards(collect(runs))


def printed(boards, width=160):
    console = Console(file=io.StringIO(), width=width)
    show(boards, console)
    return console.file.getvalue()


@pytest.fixture
def grid(tmp_path):
    """Two methods, two seeds, three folds; ``hmil`` has a coarse head."""
    for seed in (0, 1):
        for fold in (0, 1, 2):
            finish(tmp_path / "runs", make_spec("abmil", seed=seed, fold=fold), skill=1)
            finish(
                tmp_path / "runs",
                make_spec("hmil", seed=seed, fold=fold),
                skill=3,
                heads=("coarse",),
            )
    return tmp_path


def test_means_and_spreads_are_those_of_pandas(grid):
    runs, out = grid / "runs", grid / "out"
    write_boards(boards_of(runs), out)
    folder = out / "embedded" / "digit-bags" / "pixels" / "kfold-5"
    for name, keys in (
        ("overall", ["metric"]),
        ("hierarchical", ["metric"]),
        ("classwise", ["level", "source", "class", "metric"]),
    ):
        tidy = pd.read_csv(folder / f"{name}_tidy.csv", keep_default_na=False)
        tidy["value"] = tidy["value"].replace("", math.nan).astype(float)
        wide = pd.read_csv(folder / f"{name}.csv")
        for (method, *place), rows in tidy.groupby(["method", *keys]):
            cells = rows.pivot(index="seed", columns="fold", values="value")
            row = wide[wide["method"] == method]
            for column, value in zip(keys[:-1], place, strict=False):
                row = row[row[column] == value]
            metric = place[-1]
            if cells.isna().any(axis=None):
                continue
            assert row[metric].item() == pytest.approx(cells.mean(axis=1).mean(), abs=2e-6)
            if f"{metric}_sd_folds" in row:
                sd_folds, sd_seeds = cells.mean(axis=0).std(), cells.mean(axis=1).std()
                assert row[f"{metric}_sd_folds"].item() == pytest.approx(sd_folds, abs=2e-6)
                assert row[f"{metric}_sd_seeds"].item() == pytest.approx(sd_seeds, abs=2e-6)


def test_tidy_rows_hold_the_scores_of_the_stored_predictions(tmp_path):
    folder, p = finish(tmp_path / "runs", make_spec(seed=3, fold=1))
    write_boards(boards_of(tmp_path / "runs"), tmp_path)
    path = tmp_path / "embedded/digit-bags/pixels/kfold-5/overall_tidy.csv"
    tidy = pd.read_csv(path).set_index("metric")
    for metric, value in overall_scores(p).items():
        row = tidy.loc[metric]
        assert row["value"] == pytest.approx(value, abs=1e-6)
        assert (row["seed"], row["fold"], row["run_key"]) == (3, 1, folder.name)


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
    assert row.overall("macro_auc").mean == 1
    assert macro_auc(np.tile(truth, 2), np.vstack([low, high])) < 1


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


def test_a_row_with_lost_cells_is_marked_and_never_leads(tmp_path):
    for fold in range(3):
        finish(tmp_path, make_spec("mean", fold=fold), skill=0)
    finish(tmp_path, make_spec("hmil", fold=0), skill=6)
    fail(tmp_path, make_spec("hmil", fold=1), "out of memory; use bf16")
    fail(tmp_path, make_spec("transmil", fold=0), "diverged")
    (board,) = boards_of(tmp_path)
    table = overall_table(board).set_index("method")
    assert list(table.index) == ["mean", "hmil", "transmil"]
    assert table["coverage"].tolist() == ["3 of 3", "1 of 3", "0 of 3"]
    assert table.loc["hmil", "status"] == (
        "incomplete (1 failed, 1 missing): out of memory; use bf16"
    )
    assert table.loc["transmil", "status"] == "no result (1 failed, 2 missing): diverged"
    assert math.isnan(table.loc["transmil", "macro_auc"])
    shown = printed([board])
    line = next(line for line in shown.splitlines() if "hmil" in line)
    assert "*" in line
    assert "1/3" in line
    assert "out of memory; use bf16" in shown
    tidy = _csv(board, "overall_tidy", tmp_path)
    assert len(tidy[tidy["metric"] == "accuracy"]) == 9
    assert set(tidy["status"]) == {"done", "failed", "missing"}


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
    written = write_boards(boards, tmp_path / "out")
    folders = {path.parent for path in written}
    assert len(folders) == len(specs)
    assert {path.relative_to(tmp_path / "out").parts[0] for path in written} == {
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


def test_a_leaky_split_is_marked_everywhere(tmp_path):
    leak = "leak: 72-87 % of the test slides share a patient with train"
    finish(tmp_path / "runs", make_spec(), split_notes=[leak])
    finish(tmp_path / "runs", make_spec(encoder="clean"))
    leaky, clean = sorted(boards_of(tmp_path / "runs"), key=lambda b: not b.leaky)
    assert leaky.leaky
    assert not clean.leaky
    assert overall_table(leaky)["leaky"].tolist() == ["yes"]
    assert leak in overall_table(leaky)["notes"].item()
    assert leak in printed([leaky])
    write_boards([leaky], tmp_path / "out")
    page = next((tmp_path / "out").rglob("README.md")).read_text()
    assert "This split leaks" in page


def test_notes_tell_missing_slides_small_tests_absent_classes_and_single_seeds(tmp_path):
    p = random_predictions(BRACS, labels=[0, 1, 2, 3, 4, 5] * 4)
    finish(tmp_path, make_spec(), p, missing=["a", "b"])
    notes = "\n".join(boards_of(tmp_path)[0].notes)
    assert "2 labelled slides have no features" in notes
    assert "24 slides; one slide is 4.2 points" in notes
    assert "fold 0 tests no slide of IC" in notes
    assert "one seed" in notes


def test_undefined_scores_are_empty_and_counted(tmp_path):
    finish(tmp_path, make_spec(fold=0), random_predictions(BRACS, labels=[0, 1, 2] * 5))
    finish(tmp_path, make_spec(fold=1), random_predictions(BRACS, labels=[0, 1, 6] * 5))
    table = classwise_table(boards_of(tmp_path)[0]).set_index(["level", "class"])
    assert math.isnan(table.loc[("leaf", "FEA"), "auc"])
    assert not math.isnan(table.loc[("leaf", "IC"), "auc"])
    assert "auc in 1 of 2" in table.loc[("leaf", "IC"), "undefined"]


def test_heads_that_a_method_lacks_are_empty_not_zero(grid):
    (board,) = boards_of(grid / "runs")
    table = hierarchical_table(board).set_index("method")
    assert math.isnan(table.loc["abmil", "coarse_direct_accuracy"])
    assert table.loc["hmil", "coarse_direct_accuracy"] > 0.5
    assert table.loc["abmil", "inconsistency"] == 0
    assert "coarse_direct" not in str(table.loc["abmil", "undefined"])


def test_flat_label_sets_have_no_hierarchical_files(tmp_path):
    finish(tmp_path / "runs", make_spec(tree=FLAT))
    names = {p.name for p in write_boards(boards_of(tmp_path / "runs"), tmp_path / "out")}
    assert "overall.csv" in names
    assert not any("hierarchical" in name for name in names)


def test_rows_come_in_order_of_balanced_accuracy(grid):
    table = overall_table(boards_of(grid / "runs")[0])
    assert table["balanced_accuracy"].is_monotonic_decreasing
    assert table["method"].tolist() == ["hmil", "abmil"]


def test_writing_twice_gives_the_same_bytes(grid):
    first = write_boards(boards_of(grid / "runs"), grid / "a")
    second = write_boards(boards_of(grid / "runs"), grid / "b")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_names_cannot_run_formulas_markup_or_paths(tmp_path):
    evil = "=1+1|<b>[red]x[/red]`"
    finish(tmp_path / "runs", make_spec("abmil", dataset="my [bold]data"))
    begin(tmp_path / "runs", make_spec("mean", dataset="my [bold]data"))
    board = boards_of(tmp_path / "runs")[0]
    row = board.rows[0]
    from dataclasses import replace

    board = replace(board, rows=(replace(row, method=evil),))
    assert evil in printed([board])
    assert "my [bold]data" in printed([board])
    write_boards([board], tmp_path / "out")
    csv = next((tmp_path / "out").rglob("overall.csv")).read_text()
    assert csv.splitlines()[1].startswith("'=1+1|")
    page = next((tmp_path / "out").rglob("README.md")).read_text()
    assert r"=1+1\|\<b\>\[red\]x\[/red\]\`" in page
    assert "<b>" not in page


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
    import shutil

    shutil.move(other / "digit-bags", tmp_path / "zz-copy")
    (board,) = boards_of(tmp_path)
    assert [row.coverage for row in board.rows] == ["1 of 1"]


def test_every_board_with_results_gets_a_figure(grid):
    fail(grid / "runs", make_spec("mean", kind="real"))
    finish(grid / "runs", make_spec("mean", tree=FLAT, dataset="musk"))
    (first, second) = write_figures(boards_of(grid / "runs"), grid / "out")
    write_boards(boards_of(grid / "runs"), grid / "out", figures=True)
    for path in (first, second):
        assert f"]({path.name})" in (path.parent / "README.md").read_text()
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size > 10_000


def test_every_score_has_its_facts(grid):
    for board in boards_of(grid / "runs"):
        for scores in board.scores:
            for name in (*scores.overall, *scores.hierarchical):
                assert facts(name).title
    assert facts("coarse_gain_accuracy").needs == "direct head"
    assert facts("coarse_summed_brier").better == -1
    with pytest.raises(KeyError):
        facts("coarse_summed_charm")


def _csv(board, name, folder):
    write_boards([board], folder / "out")
    return pd.read_csv(next((folder / "out").rglob(f"{name}.csv")))
