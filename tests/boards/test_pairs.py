"""Pairs: patients and refits are two questions, and both must say so before a method is better."""

from __future__ import annotations

import math

import numpy as np
import pytest
from paired_runs import analysis_of, write_grid
from prediction_cases import BRACS
from scipy import stats
from sklearn.metrics import roc_auc_score
from statsmodels.stats.multitest import multipletests

from mil_bench.boards.board import RANKED
from mil_bench.boards.tables import pairs as module
from mil_bench.boards.tables.pairs import all_pairs, compare_pairs, pairs_table
from mil_bench.evaluation.metrics import Score


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    skills = {"good": 4.0, "fair": 1.2, "fairer": 1.4, "poor": 0.2}
    return analysis_of(write_grid(tmp_path_factory.mktemp("runs"), skills))


def test_holm_over_all_pairs_is_that_of_statsmodels(analysis):
    found = compare_pairs(analysis, RANKED, all_pairs(analysis))
    assert len(found) == 6
    for adjusted, raw in (
        ([p.p_holm for p in found], [p.patients.p for p in found]),
        ([p.p_both for p in found], [max(p.patients.p, p.refits.p) for p in found]),
    ):
        assert adjusted == pytest.approx(multipletests(raw, method="holm")[1])


def test_refits_are_the_t_test_on_fold_means_with_the_variance_of_nadeau_and_bengio(analysis):
    rows = {row.label: row for row in analysis.board.rows}
    (pair,) = compare_pairs(analysis, RANKED, [("good", "fair")])
    d = [
        np.mean(
            [
                rows["good"].done[s, f].scores.values[RANKED]
                - rows["fair"].done[s, f].scores.values[RANKED]
                for s in (0, 1)
            ]
        )
        for f in range(5)
    ]
    t = np.mean(d) / math.sqrt(np.var(d, ddof=1) * (1 / 5 + 0.25))
    assert pair.refits.mean == pytest.approx(np.mean(d))
    assert pair.refits.p == pytest.approx(2 * stats.t.sf(abs(t), 4))


def test_better_needs_both_tests(tmp_path):
    """Two methods far apart over patients; one of them swings from fold to fold."""
    steady = analysis_of(write_grid(tmp_path / "a", {"good": 5.0, "poor": 0.5}))
    swinging = analysis_of(write_grid(tmp_path / "b", {"good": 2.5, "poor": 0.9}, swing=2.0))
    told = [compare_pairs(a, RANKED, [a.paired])[0] for a in (steady, swinging)]
    assert [pair.a for pair in told] == ["good", "good"]
    assert [pair.decision for pair in told] == ["better", "better as trained"]
    assert told[1].p_holm < 0.05 < told[1].p_both


def test_where_lower_is_better_superiority_wins_and_decision_turn_round(analysis):
    scores = (RANKED, Score.of_tree("fine_error"))
    up, down = (compare_pairs(analysis, score, [("good", "poor")])[0] for score in scores)
    assert up.patients.value > 0 > down.patients.value
    assert up.superiority == down.superiority == 1
    assert up.won == down.won == 1
    assert up.decision == down.decision == "better"
    assert down.rope.above > 0.9 > down.rope.below


def test_rope_is_empty_where_a_point_means_nothing(analysis):
    (severity,) = compare_pairs(analysis, Score.of_tree("severity"), [("good", "poor")])
    assert severity.rope is None


def test_one_fold_leaves_refits_open(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"good": 5.0, "poor": 0.5}, folds=1))
    (pair,) = compare_pairs(a, RANKED, [("good", "poor")])
    assert pair.decision == "better as trained"
    assert math.isnan(pair.p_both)
    row = pairs_table(a).brief[0]
    assert row["refits"] is row["p_refits"] is row["rope_equal"] is None


def test_one_patient_gives_an_empty_decision(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"good": 5.0, "poor": 0.5}, folds=1, patients=1))
    assert "1 patient" in a.refusal
    assert pairs_table(a) is None


def test_class_scores_compare_where_both_define_them(analysis):
    score = Score("auc", "leaf", "direct", "DCIS")
    (pair,) = compare_pairs(analysis, score, [("good", "poor")])
    cell, record = next(iter(analysis.board.rows[0].done.items()))
    p, k = record.sets["test"], BRACS.index("DCIS")
    expected = roc_auc_score(p.labels == k, p.heads["leaf"][:, k])
    assert analysis.board.rows[0].values(score)[cell] == pytest.approx(expected)
    assert pair.patients.value > 0


def test_table_leads_with_the_ranked_score_and_has_every_pair_once(analysis):
    table = pairs_table(analysis)
    assert [(r["method"], r["other"]) for r in table.brief] == all_pairs(analysis)
    assert len({(r["method"], r["other"], r.score) for r in table.rows}) == len(table.rows)
    shares = {str(r.score): r.percent(table.column("difference")) for r in table.rows}
    assert shares["balanced_accuracy"]
    assert not shares["severity"]


def test_large_boards_compare_with_the_leader_alone(analysis, monkeypatch):
    monkeypatch.setattr(module, "ALL_PAIRS", 3)
    assert all_pairs(analysis) == [("good", other) for other in analysis.paired[1:]]
