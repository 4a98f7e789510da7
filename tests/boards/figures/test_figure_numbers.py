"""What is drawn is what the tables and the runs say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from drawn import bars, grid_of, panel, points, reports_of, words
from prediction_cases import BRACS
from scipy.integrate import trapezoid
from sklearn.metrics import accuracy_score, confusion_matrix

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.collect import read_record
from mil_bench.boards.figures import (
    classes,
    curves,
    gain,
    overview,
    planes,
    reliability,
    scores,
    training,
)
from mil_bench.boards.tables.table import Number
from mil_bench.evaluation.metrics import Score

METHODS = ("hmil", "abmil", "mean")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    runs = grid_of(tmp_path_factory.mktemp("grid"), METHODS, BRACS, heads={"hmil": ("coarse",)})
    (found,) = reports_of(runs)
    assert [row.label for row in found.board.rows] == list(METHODS)
    return found


def overall(report, label, name):
    (row,) = [row for row in report.table("overall").rows if row.method == label]
    return row[name]


def stacked(row):
    """Truth and probabilities of all runs."""
    found = row.predictions.values()
    return np.concatenate([p.labels for p in found]), np.concatenate([p.heads[LEAF] for p in found])


@pytest.mark.parametrize(
    ("name", "title", "scale"),
    [("balanced_accuracy", "Bal. acc", 100), ("macro_auc", "AUC", 100), ("brier", "Brier", 1)],
)
def test_the_forest_has_value_and_interval_of_the_overall_table(report, name, title, scale):
    axis = panel(scores.draw_forest(report), title)
    for y, label in enumerate(METHODS):
        number = overall(report, label, name)
        assert points(axis)[y] == pytest.approx((scale * number.value, y))
        assert bars(axis, y) == pytest.approx([scale * number.low, scale * number.high])


def test_filled_marks_are_the_best_and_what_cannot_be_separated_from_it(report):
    axis = panel(scores.draw_forest(report), "Bal. acc")
    marks = [line for line in axis.lines if len(line.get_xdata()) == 1]
    filled = [line.get_markerfacecolor() != "white" for line in marks]
    assert filled == [bool(overall(report, m, "balanced_accuracy").mark) for m in METHODS]
    assert filled[0]
    assert not filled[-1]


def test_the_overview_shows_both_sources_of_the_coarse_level_and_every_run(report):
    figure = overview.draw(report)
    row = report.board.rows[0]
    axis = panel(figure, "coarse")
    x = [x for x, y in points(axis) if abs(y) < 0.3]
    expected = [
        100 * row.spread(Score("balanced_accuracy", "coarse", source)).mean
        for source in ("summed", "direct")
    ]
    assert x == pytest.approx(expected)
    runs = [*panel(figure, "leaf").collections[0].get_offsets()[:, 0]]
    own = row.values(Score("balanced_accuracy")).values()
    assert runs == pytest.approx([100 * v for v in own])
    assert sum("tier 1" in word for word in words(figure)) >= 1


@pytest.mark.parametrize(("title", "metric"), [("AUC", "auc"), ("Sens", "sensitivity")])
def test_heat_maps_hold_the_scores_of_classes(report, title, metric):
    axis = panel(classes.draw_classes(report), title)
    shown = np.asarray(axis.collections[0].get_array()).reshape(len(METHODS), -1)
    for values, row in zip(shown, report.board.rows, strict=True):
        own = [100 * row.spread(Score(metric, LEAF, "direct", c)).mean for c in BRACS.leaves]
        assert values == pytest.approx(own)


def test_confusions_are_those_of_scikit_learn(report):
    figure = classes.draw_confusions(report)
    for row in report.board.rows:
        truth, probs = stacked(row)
        expected = 100 * confusion_matrix(truth, probs.argmax(1), normalize="true")
        shown = np.asarray(panel(figure, row.label).collections[0].get_array())
        assert shown.reshape(expected.shape) == pytest.approx(expected)


def test_blocks_frame_the_leaves_of_one_coarse_class(report):
    frames = panel(classes.draw_confusions(report), "hmil").patches
    assert [(*f.get_xy(), f.get_width(), f.get_height()) for f in frames] == [
        (0, 0, 3, 3),
        (3, 3, 2, 2),
        (5, 5, 2, 2),
    ]


def test_mistakes_stand_at_accuracy_and_severity(report):
    axis = planes.draw_severity(report).axes[0]
    expected = [
        (100 * row.spread(Score("accuracy")).mean, row.spread(Score.of_tree("severity")).mean)
        for row in report.board.rows
    ]
    assert points(axis) == [pytest.approx(p) for p in expected]


@pytest.mark.parametrize(
    ("draw", "metric"), [(curves.draw_roc, "auc"), (curves.draw_precision, "ap")]
)
def test_the_area_under_a_drawn_curve_is_the_score_of_the_board(report, draw, metric):
    figure = draw(report)
    for leaf in BRACS.leaves:
        lines = panel(figure, leaf).lines
        for line, row in zip(lines, report.board.rows, strict=False):
            x, y = line.get_xdata() / 100, line.get_ydata() / 100
            area = row.spread(Score(metric, LEAF, "direct", leaf)).mean
            assert trapezoid(y, x=x) == pytest.approx(area, abs=0.01)


def test_bands_hold_their_curves_and_belong_to_the_first_two(report):
    axis = panel(curves.draw_roc(report), "N")
    assert len(axis.collections) == curves.WITH_BAND
    for band, line in zip(axis.collections, axis.lines, strict=False):
        low, high = band.get_paths()[0].vertices[:, 1].min(), line.get_ydata().max()
        assert low <= line.get_ydata().min() + 1e-9
        assert band.get_paths()[0].vertices[:, 1].max() >= high - 1e-9


def test_reliability_shows_the_bins_of_its_table_which_add_up_to_the_accuracy(report):
    row = report.board.rows[0]
    truth, probs = stacked(row)
    bins = [
        b
        for b in report.table("reliability").rows
        if (b["method"], b["level"]) == (row.label, LEAF)
    ]
    slides, right = (np.array([b[c].value for b in bins]) for c in ("slides", "accuracy"))
    assert (slides * right).sum() / slides.sum() == pytest.approx(
        accuracy_score(truth, probs.argmax(1))
    )
    axis = panel(reliability.draw(report), row.label)
    (dots,) = [line for line in axis.lines if line.get_marker() == "o"]
    assert [*dots.get_ydata()] == pytest.approx([*(100 * right)])


def test_the_spread_shows_every_run_and_the_mean(report):
    axis = scores.draw_spread(report).axes[0]
    for y, row in enumerate(report.board.rows):
        lines = [line for line in axis.lines if abs(line.get_ydata()[0] - y) < 0.45]
        runs = [x for line in lines if line.get_marker() == "o" for x in line.get_xdata()]
        own = row.values(Score("balanced_accuracy")).values()
        assert sorted(runs) == pytest.approx(sorted(100 * v for v in own))
        (mean,) = [line.get_xdata()[0] for line in lines if line.get_marker() == "D"]
        assert mean == pytest.approx(100 * row.spread(Score("balanced_accuracy")).mean)


def test_costs_stand_against_quality_and_the_staircase_joins_what_nothing_beats(report):
    figure = planes.draw_pareto(report)
    (axis,) = [a for a in figure.axes if a.get_xlabel().startswith("Training")]
    quality = [100 * row.spread(Score("balanced_accuracy")).mean for row in report.board.rows]
    expected = [pytest.approx((7.0 ** (i + 1), q)) for i, q in enumerate(quality)]
    assert points(axis)[: len(METHODS)] == expected
    (other,) = [a for a in figure.axes if a.get_xlabel().startswith("Parameters")]
    stairs = [line for line in other.lines if line.get_drawstyle() == "steps-post"]
    assert [*stairs[0].get_xdata()] == [3000, 4000, 5000]  # the better, the larger


def test_gains_are_those_of_the_table_of_controls(report):
    figure = gain.draw(report)
    rows = [r for r in report.table("controls").rows if r.score == Score("balanced_accuracy")]
    axis = panel(figure, "hmil, coarse head: Bal. acc")
    assert [x for x, _ in points(axis)] == pytest.approx(
        [100 * r["difference"].value for r in rows if isinstance(r["difference"], Number)]
    )


def test_training_curves_are_the_log(tmp_path, report):
    record = next(iter(report.board.rows[0].runs.values()))
    log = pd.DataFrame(
        {"epoch": [1, 2, 3], "loss": [3.0, 2, 1], "loss_ce": [2.0, 1, 0.5], "lr": [0.1, 0.1, 0.1],
         "val_macro_auc": [0.5, 0.6, 0.7], "val_brier": [0.9, 0.8, 0.7]}
    )  # fmt: skip
    log.to_csv(record.path / "train.csv", index=False)
    figure = training.draw(read_record(record.path))
    total, term = panel(figure, "training loss").lines[:2]
    assert ([*total.get_ydata()], [*term.get_ydata()]) == ([3, 2, 1], [2, 1, 0.5])
    assert [*panel(figure, "validation (%)").lines[0].get_ydata()] == pytest.approx([50, 60, 70])
    assert [*panel(figure, "validation ↓").lines[0].get_ydata()] == [0.9, 0.8, 0.7]


@pytest.mark.parametrize("text", ["", "epoch,loss\n", "epoch,loss\n1,much\n"])
def test_a_log_that_is_none_is_said(tmp_path, text):
    (tmp_path / "train.csv").write_text(text)
    with pytest.raises(DataError, match=r"train\.csv"):
        training.read_history(tmp_path / "train.csv")
