"""Scores of parts of the slides, against scikit-learn on those parts."""

from __future__ import annotations

import numpy as np
import pytest
from paired_runs import analysis_of, write_grid
from sklearn.metrics import balanced_accuracy_score

from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.boards.report import report_of
from mil_bench.boards.subgroups import GAP, UNKNOWN, Subgroups, subgroups_table, with_subgroups
from mil_bench.cli.main import main
from mil_bench.contract.dataset import DatasetOptions


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    return analysis_of(
        write_grid(tmp_path_factory.mktemp("runs"), {"good": 3.0, "poor": 0.5}, seeds=1, folds=2)
    )


@pytest.fixture(scope="module")
def groups(analysis):
    """Two scanners by the parity of slides; some slides are in no table."""
    slides = [s for p in analysis.board.rows[0].predictions.values() for s in p.slide_ids]
    named = {s: ("a", "b")[int(s.split("s")[-1]) % 2] for s in slides if not s.endswith("7")}
    return Subgroups("digit-bags", "scanner", named)


def test_scores_are_those_of_the_slides_of_the_group(analysis, groups):
    table = subgroups_table(analysis, groups)
    row = next(r for r in table.rows if (r["method"], r["subgroup"]) == ("good", "b"))
    accuracy, brier, count = [], [], 0
    for p in analysis.board.rows[0].predictions.values():
        here = np.array([groups.of.get(s) == "b" for s in p.slide_ids])
        probs = p.heads["leaf"][here]
        accuracy.append(balanced_accuracy_score(p.labels[here], probs.argmax(1)))
        brier.append(np.mean(np.sum((probs - np.eye(7)[p.labels[here]]) ** 2, axis=1)))
        count += here.sum()
    assert row["balanced_accuracy"].value == pytest.approx(np.mean(accuracy), abs=1e-6)
    assert row["brier"].value == pytest.approx(np.mean(brier), abs=1e-6)
    assert row["slides"].value == count
    assert row["balanced_accuracy"].low < row["balanced_accuracy"].value


def test_slides_without_a_value_stand_apart_last(analysis, groups):
    table = subgroups_table(analysis, groups)
    told = [r["subgroup"] for r in table.rows if r["method"] == "good"]
    assert told == ["a", "b", UNKNOWN, GAP]
    good = [r for r in table.rows if r["method"] == "good"]
    slides = sum(len(p) for p in analysis.board.rows[0].predictions.values())
    assert sum(r["slides"].value for r in good[:3]) == slides


def test_gap_is_highest_minus_lowest(analysis, groups):
    rows = {r["subgroup"]: r for r in subgroups_table(analysis, groups).rows[:4]}
    values = {name: rows[name]["accuracy"].value for name in ("a", "b", UNKNOWN)}
    high, low = max(values, key=values.get), min(values, key=values.get)
    assert rows[GAP]["accuracy"].value == pytest.approx(values[high] - values[low])
    assert rows[GAP]["accuracy"].note == f"{high} minus {low}"
    assert rows[GAP]["slides"] is None


def test_columns_come_from_the_label_table_without_features():
    found = Subgroups.read("digit-bags", "group_id", DatasetOptions())
    assert set(found.of.values()) == {f"pool{k}" for k in range(5)}
    with pytest.raises(UnknownNameError, match="column 'provider' of dataset 'digit-bags'"):
        Subgroups.read("digit-bags", "provider", DatasetOptions())
    with pytest.raises(DataError, match="has 350 values; expected at most 30"):
        Subgroups.read("digit-bags", "slide_id", DatasetOptions())


def test_only_boards_of_the_dataset_get_the_table(analysis):
    report = report_of(analysis.board)
    (told,) = with_subgroups([report], "group_id", "digit-bags", None)
    assert told.table("subgroups") is not None
    assert report.table("subgroups") is None


def test_the_command_writes_subgroups(tmp_path):
    runs = write_grid(tmp_path / "runs", {"good": 3.0, "poor": 0.5}, seeds=1, folds=1)
    words = ["leaderboard", "--runs", str(runs), "--out", str(tmp_path / "out"), "--by", "label"]
    with pytest.raises(SystemExit) as done:
        main([*words, "--no-figures", "--no-html"])
    assert done.value.code == 0
    assert list((tmp_path / "out").rglob("subgroups.csv"))
