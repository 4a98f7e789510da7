"""Reliability bins and overconfidence, against sums written out."""

from __future__ import annotations

import numpy as np
import pytest
from paired_runs import analysis_of, write_grid
from scipy import stats

from mil_bench.boards.tables.calibration import (
    calibration_table,
    reliability_bins,
    reliability_table,
)
from mil_bench.evaluation.calibration import probability_scores
from mil_bench.evaluation.inference.formulas import wilson
from mil_bench.evaluation.metrics import CALIBRATION
from mil_bench.evaluation.scores import leaf_scores
from mil_bench.evaluation.sums import ones


@pytest.fixture(scope="module")
def analysis(tmp_path_factory):
    runs = write_grid(
        tmp_path_factory.mktemp("runs"), {"good": 6.0, "poor": 0.5}, folds=2, heads=("coarse",)
    )
    return analysis_of(runs)


def test_bins_of_one_run_add_up_to_its_calibration_error(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"x": 1.0}, seeds=1, folds=1))
    (row,) = a.board.rows
    (p,) = row.predictions.values()
    bins = reliability_bins(row, "leaf", "direct", a.resampling)
    ece = sum(b.slides * abs(b.gap.value) for b in bins) / len(p)
    assert ece == pytest.approx(leaf_scores(p)["ece"])


def test_bins_are_means_of_their_slides(analysis):
    row = analysis.board.rows[0]
    bins = reliability_bins(row, "coarse", "summed", analysis.resampling)
    ps = list(row.predictions.values())
    confidence = np.concatenate([p.summed("coarse").max(1) for p in ps])
    right = np.concatenate([p.summed("coarse").argmax(1) == p.truth("coarse") for p in ps])
    assert sum(b.slides for b in bins) == len(confidence)
    for b in bins:
        here = (confidence >= b.low) & (confidence <= b.high)
        assert b.slides == here.sum()
        assert b.accuracy.value == pytest.approx(right[here].mean())
        assert b.confidence == pytest.approx(confidence[here].mean())


def test_bins_that_are_all_right_have_wilsons_interval(analysis):
    bins = reliability_bins(analysis.board.rows[0], "leaf", "direct", analysis.resampling)
    sure = [b for b in bins if b.accuracy.value == 1]
    assert sure
    for b in sure:
        assert b.interval == wilson(1.0, b.size)
        exact = stats.binomtest(round(b.size), round(b.size)).proportion_ci(method="wilson")
        assert b.interval[0] == pytest.approx(exact.low, abs=0.02)


def test_draws_of_overconfidence_are_those_of_the_scores(analysis):
    """Weighing patients: accuracy of all slides in the draws of one run is the drawn accuracy."""
    table = calibration_table(analysis)
    assert [c.name for c in table.columns[:3]] == ["method", "level", "source"]
    places = {(r["level"], r["source"]) for r in table.rows}
    assert places == {("coarse", "summed"), ("coarse", "direct"), ("leaf", "direct")}
    for row in table.rows:
        over = row["overconfidence"]
        assert over.value == pytest.approx(row["confidence"].value - row["accuracy"].value)
        assert over.low < over.value < over.high


def test_every_score_of_probabilities_has_a_column_and_a_number_at_every_level(analysis):
    computed = probability_scores(np.array([0, 1]), np.full((2, 2), 0.5), False, ones(2))
    assert set(CALIBRATION) == set(computed)
    table = calibration_table(analysis)
    assert [c.name for c in table.columns[3:6]] == ["brier", "log_loss", "ece"]
    for row in table.rows:
        assert all(np.isfinite(row[name].value) for name in CALIBRATION)


def test_files_hold_every_bin_and_people_see_none_of_them(analysis):
    table = reliability_table(analysis)
    assert table.shown == ()
    assert {r["bin"].value for r in table.rows} == set(range(1, 16))


def test_one_patient_has_no_calibration_table(tmp_path):
    a = analysis_of(write_grid(tmp_path, {"x": 1.0}, seeds=1, folds=1, patients=1))
    assert calibration_table(a) is None
    assert reliability_table(a) is None
