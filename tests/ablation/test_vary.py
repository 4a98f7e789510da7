"""Sensitivity grids: their grammar, their points, their default."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import toy_grid
from prediction_cases import random_predictions
from run_folders import finish
from run_requests import request

from mil_bench.ablation.vary import Axis, parse_axes, plan_vary
from mil_bench.ablation.vary_figure import vary_figure
from mil_bench.ablation.vary_tables import vary_notes, vary_sheets, vary_table
from mil_bench.ablation.write import write_varied
from mil_bench.base.errors import ConfigError, UnknownNameError, UsageError
from mil_bench.runs.task import DataRequest

METRICS = ("balanced_accuracy", "macro_auc")
prepare = cache(DataRequest.prepare)


def planned(tmp_path, *pairs, **changes):
    grid, machine = request(tmp_path, **{"folds": [0, 1], **changes})
    return plan_vary(grid, parse_axes(pairs), machine, prepare)


def made(tmp_path, *pairs, leave_out=()):
    plan = planned(tmp_path, *pairs)
    for point in plan.points:
        for task in point.tasks if point.values not in leave_out else ():
            seed = int(task.spec.key[:8], 16)
            finish(tmp_path, task.spec, random_predictions(toy_grid.TREE, n=40, seed=seed))
    return plan.read(METRICS, tmp_path)


def test_values_are_parted_by_commas_outside_brackets():
    (axis,) = parse_axes(["x=[1,2],{},a ,a"])
    assert (axis.key, axis.values) == ("x", ("[1,2]", "{}", "a"))


@pytest.mark.parametrize("pair", ["lr", "lr=", "=1", "lr= , "])
def test_a_pair_without_key_or_values_is_refused(pair):
    with pytest.raises(UsageError, match="is not KEY=VALUES"):
        parse_axes([pair])


@pytest.mark.parametrize(
    ("pair", "instead"),
    [("lr=1,1", "--set lr=1"), ("encoder=uni", "--encoder uni"), ("x=[1,2]", r"--set x=\[1,2\]")],
)
def test_one_value_varies_nothing(pair, instead):
    with pytest.raises(UsageError, match=f"has one value.*, or fix it with {instead}"):
        parse_axes([pair])


def test_a_field_stands_once_and_there_are_three_at_most():
    with pytest.raises(UsageError, match="twice"):
        parse_axes(["lr=1,2", "lr=3,4"])
    with pytest.raises(UsageError, match="4 fields"):
        parse_axes([f"{c}=1,2" for c in "abcd"])


def test_every_combination_of_method_and_trainer_fields_is_run(tmp_path):
    plan = planned(tmp_path, "width=3,5", "lr=0.001,0.01", "max_instances=none,4")
    found = {
        (s.method_config["width"], s.trainer.lr, s.trainer.max_instances): point.values
        for point in plan.points
        for s in [point.tasks[0].spec]
    }
    assert len(found) == 8
    assert found[3, 0.01, None] == ("3", "0.01", "none")
    assert all(len(point.tasks) == 2 for point in plan.points)


def test_the_default_is_found_by_content_not_by_spelling(tmp_path):
    assert planned(tmp_path, "width=3,5", "lr=1e-2,1e-3").read(METRICS, tmp_path).default == (
        "5", "1e-2",
    )  # fmt: skip
    varied = planned(tmp_path, "width=3,4").read(METRICS, tmp_path)
    assert varied.default is None
    assert any("the default (width=5) is not among the values" in n for n in vary_notes(varied))


def test_encoders_are_data_and_not_settings(tmp_path):
    grid, machine = request(tmp_path)
    with pytest.raises(UsageError, match="encoder=uni and encoder=gigapath are the same exp"):
        plan_vary(grid, parse_axes(["encoder=uni,gigapath"]), machine, prepare)
    axes = (Axis("encoder", ("uni",)), *parse_axes(["width=3,5"]))
    plan = plan_vary(grid, axes, machine, prepare)
    assert {task.data.options.encoder for point in plan.points for task in point.tasks} == {"uni"}
    assert plan.default[0].data.options.encoder == "uni"


@pytest.mark.parametrize(
    ("pair", "error", "sentence"),
    [
        ("widht=1,2", UnknownNameError, "did you mean 'width'"),
        ("width=x,2", ConfigError, "width='x' is not valid"),
        ("width=3,3.0", UsageError, "width=3 and width=3.0 are the same experiment"),
    ],
)
def test_a_wrong_field_or_value_is_one_sentence(tmp_path, pair, error, sentence):
    with pytest.raises(error, match=sentence):
        planned(tmp_path, pair)


def test_a_field_cannot_be_set_and_varied(tmp_path):
    with pytest.raises(UsageError, match="both in --set and in --vary"):
        planned(tmp_path, "width=3,5", settings={"width": "3"})


def test_the_table_compares_every_combination_with_the_default(tmp_path):
    varied = made(tmp_path, "width=3,5,8")
    table = vary_table(varied).set_index(["width", "metric"])
    means = table["mean"].xs("balanced_accuracy", level="metric")
    row = table.loc[("8", "balanced_accuracy")]
    assert row["difference"] == pytest.approx(means["8"] - means["5"])
    assert table["default"].to_dict()["5", "macro_auc"] == "yes"
    assert np.isnan(table.loc[("5", "macro_auc")]["difference"])
    (sheet,) = vary_sheets(varied)
    assert [line[0] for line in sheet.rows] == ["3", "5", "8"]


@pytest.mark.parametrize(
    ("pairs", "panels"),
    [
        (["width=3,5,8"], 2),
        (["width=3,5", "lr=1e-2,1e-3,1e-4"], 2),
        (["width=3,5", "lr=1e-2,1e-3", "max_instances=none,4"], 4),
    ],
)
def test_a_line_heat_maps_or_panels_are_drawn_even_with_holes(tmp_path, pairs, panels):
    hole = {2: ("3", "1e-3"), 3: ("3", "1e-3", "4"), 1: ("3",)}[len(pairs)]
    varied = made(tmp_path, *pairs, leave_out=[hole])
    figure = vary_figure(varied)
    assert len(figure.axes) == panels
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert any("0 of 2" in text for text in texts)
    folder = write_varied(varied, tmp_path / "out")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md", "sensitivity.csv", "sensitivity.png",
    ]  # fmt: skip
    assert "no result (2 missing)" in (folder / "README.md").read_text()
