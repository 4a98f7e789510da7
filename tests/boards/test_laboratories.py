"""Runs of several laboratories: about equal features share a board, others have no common rank."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from paired_runs import paired_predictions
from run_folders import finish, make_spec
from sklearn.metrics import balanced_accuracy_score

from mil_bench.bags.features_lock import FeaturesLock
from mil_bench.boards.frames import leaderboard, read_boards, reports_of

OURS, SAME, OTHER = "0a0a0a0a", "5a5a5a5a", "ffffffff"


def write_lock(runs, digest, shift=0.0, dim=64):
    numbers = np.linspace(-1, 1, 16) + shift
    path = runs / "digit-bags" / "features" / f"{digest}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    FeaturesLock(dim, {"s1": (70, 0.1, 1.0, *numbers), "s2": (9, 0.2, 2.0, *numbers)}).save(path)


def write_runs(runs, features, skills, folds=2, cut=None, **changes):
    """A run per method and fold; methods of one name have other models in other laboratories."""
    for m, (method, skill) in enumerate(skills.items()):
        for fold in range(folds):
            p = paired_predictions(skill, fold, 10 * m + len(features) + int(features[0], 16))
            p = p if cut is None else p.cut(np.arange(cut))
            spec = make_spec(method, fold=fold, features_digest=features, **changes)
            finish(runs, spec, p, n_train=300)


def tables(runs):
    return {report.board.id.features_digest: report for report in reports_of(read_boards(runs)[0])}


def remarks(runs, of=OURS):
    table = tables(runs)[of].table("laboratories")
    return {(row["features"], row["method"]): row["remark"] for row in table.rows}


@pytest.fixture
def runs(tmp_path):
    write_runs(tmp_path, OURS, {"abmil": 2.0, "clam-sb": 2.5, "mean": 0.5})
    return tmp_path


def test_about_equal_features_rank_on_one_board_and_the_deviation_is_told(runs):
    write_runs(runs, SAME, {"abmil": 2.1, "dsmil": 1.0})
    write_lock(runs, OURS)
    write_lock(runs, SAME, 0.004)
    (board,) = leaderboard(runs)
    overall = board["overall"]
    labels = [f"{m} [{v}]" if v else m for m, v in overall[["method", "variant"]].to_numpy()]
    assert set(labels) == {"abmil", "clam-sb", "mean", "abmil [features=5a5a5a]", "dsmil"}
    assert sorted(overall["rank"]) == [1, 2, 3, 4, 5]
    assert "laboratories" not in board.tables
    (note,) = [n for n in board.caveats if "about equal" in n]
    assert "features of abmil [features=5a5a5a] and dsmil were extracted separately" in note
    assert "largest deviation 0.4 % of their spread" in note


def test_without_locks_or_with_one_the_boards_stay_apart(runs):
    write_runs(runs, SAME, {"abmil": 2.1})
    assert len(tables(runs)) == 2
    write_lock(runs, OURS)
    assert len(tables(runs)) == 2


@pytest.mark.parametrize(("shift", "boards"), [(0.009, 1), (0.011, 2)])
def test_the_tolerance_is_a_hundredth_of_the_spread(runs, shift, boards):
    write_runs(runs, SAME, {"abmil": 2.1})
    write_lock(runs, OURS)
    write_lock(runs, SAME, shift)
    assert len(tables(runs)) == boards


def test_small_deviations_do_not_add_up(runs):
    """The third extraction is near the second, and not near the first, which names the board."""
    write_runs(runs, SAME, {"abmil": 2.1})
    write_runs(runs, OTHER, {"abmil": 2.2})
    for digest, shift in ((OURS, 0.0), (SAME, 0.008), (OTHER, 0.016)):
        write_lock(runs, digest, shift)
    assert set(tables(runs)) == {OURS, OTHER}


def test_equal_features_on_other_folds_stay_apart(runs):
    write_runs(runs, SAME, {"abmil": 2.1}, split_digest="0thers")
    write_lock(runs, OURS)
    write_lock(runs, SAME)
    assert len(tables(runs)) == 2


def test_rows_of_other_features_share_no_rank_and_differ_from_their_own_abmil(runs):
    write_runs(runs, OTHER, {"abmil": 1.0, "clam-sb": 3.0}, encoder="uni")
    reports = tables(runs)
    assert set(reports) == {OURS, OTHER}
    for report in reports.values():
        names = {"abmil", "clam-sb", "mean"} if report is reports[OURS] else {"abmil", "clam-sb"}
        assert {row.label for row in report.board.rows} == names
        table = report.table("laboratories")
        assert {c.name for c in table.columns}.isdisjoint({"rank", "tier", "first", "behind"})
        assert table.rows[0]["features"].endswith(f"({report.board.id.features_digest[:6]})")
    mine, theirs = (reports[of].table("laboratories").rows for of in (OURS, OTHER))
    assert [r["method"] for r in mine] == ["clam-sb", "mean", "clam-sb"]
    by_row = {(r["features"], r["method"]): r["difference"].value for r in mine}
    assert by_row == {(r["features"], r["method"]): r["difference"].value for r in theirs}
    board = reports[OTHER].board
    expected = np.mean(
        [
            np.subtract(
                *(
                    balanced_accuracy_score(p.labels, p.heads["leaf"].argmax(1))
                    for p in (row.predictions[0, fold] for row in board.rows)
                )
            )
            for fold in (0, 1)
        ]
    )
    assert board.rows[0].label == "clam-sb"
    assert by_row["uni (ffffff)", "clam-sb"] == pytest.approx(expected)


def test_intervals_are_those_of_the_pairs_of_that_laboratory(runs):
    write_runs(runs, OTHER, {"abmil": 1.0, "clam-sb": 3.0}, encoder="uni")
    report = tables(runs)[OURS]
    ours = next(r for r in report.table("laboratories").rows if r["method"] == "mean")
    pairs = report.table("pairs").rows
    pair = next(
        r for r in pairs if (r["method"], r["other"], r["score"]) == ("abmil", "mean", RANKED)
    )
    assert ours["difference"].low == pytest.approx(-pair["difference"].high)
    assert ours["difference"].high == pytest.approx(-pair["difference"].low)


RANKED = "balanced_accuracy"


def test_holm_is_over_the_rows_of_all_laboratories(runs):
    write_runs(runs, OTHER, {"abmil": 1.0, "clam-sb": 1.1}, encoder="uni")
    rows = tables(runs)[OURS].table("laboratories").rows
    p = np.array([row["p"].value for row in rows])
    order = np.argsort(p)
    expected = np.empty(3)
    expected[order] = np.minimum(1, np.maximum.accumulate(p[order] * [3, 2, 1]))
    assert [row["p_holm"].value for row in rows] == pytest.approx(expected)


def test_a_laboratory_without_abmil_says_so(runs):
    write_runs(runs, OTHER, {"clam-sb": 1.0, "mean": 0.5}, encoder="uni")
    told = remarks(runs)
    assert told["uni (ffffff)", ""] == "no complete abmil on these features; run it to compare"
    assert told["pixels (0a0a0a)", "mean"] == ""


def test_an_incomplete_abmil_is_no_reference(runs):
    write_runs(runs, OTHER, {"abmil": 1.0}, folds=1, encoder="uni")
    write_runs(runs, OTHER, {"mean": 1.0}, encoder="uni")
    assert "no complete abmil" in remarks(runs)["uni (ffffff)", ""]


def test_abmil_alone_has_no_differences(runs):
    write_runs(runs, OTHER, {"abmil": 1.0}, encoder="uni")
    assert remarks(runs)["uni (ffffff)", "abmil"] == "abmil is the only complete row"


def test_other_test_slides_and_folds_are_told(runs):
    changes = {"encoder": "uni", "cut": 80, "split_digest": "0thers"}
    write_runs(runs, OTHER, {"abmil": 1.0, "mean": 0.3}, **changes)
    told = remarks(runs)
    assert told["uni (ffffff)", "mean"] == "160 of 160 test slides are in both; other folds"
    assert remarks(runs, OTHER)["pixels (0a0a0a)", "mean"] == (
        "160 of 180 test slides are in both; other folds"
    )


def test_one_laboratory_has_no_such_table(runs):
    assert tables(runs)[OURS].table("laboratories") is None
    write_runs(runs, OTHER, {"abmil": 1.0}, encoder="uni", split="mccv-10")
    assert tables(runs)[OURS].table("laboratories") is None


def test_two_laboratories_without_patients_to_draw_are_a_remark(tmp_path):
    """One patient: nothing can be drawn, in either laboratory."""
    for features, encoder in ((OURS, "pixels"), (OTHER, "uni")):
        for m, method in enumerate(("abmil", "mean")):
            p = paired_predictions(1.0, 0, m)
            p = replace(p, groups=np.array(["p"] * len(p)))
            finish(tmp_path, make_spec(method, features_digest=features, encoder=encoder), p)
    assert len(remarks(tmp_path)) == 2
    assert all(remarks(tmp_path).values())
