"""Sensitivity grids: their grammar, their points, their default."""

from __future__ import annotations

from functools import cache

import pytest
import toy_grid
from paired_runs import paired_predictions
from rich.console import Console
from run_folders import finish
from run_requests import request

from mil_bench.ablation.ablate import write_ablation
from mil_bench.ablation.vary import Axis, parse_axes, plan_settings
from mil_bench.base.errors import ConfigError, UnknownNameError, UsageError
from mil_bench.boards.figures.ablation import draw
from mil_bench.boards.report import report_of
from mil_bench.evaluation.metrics import Score
from mil_bench.runs.task import DataRequest

METRICS = ("balanced_accuracy", "macro_auc")
prepare = cache(DataRequest.prepare)


def planned(tmp_path, *pairs, **changes):
    grid, machine = request(tmp_path, **{"folds": [0, 1], **changes})
    return plan_settings(grid, parse_axes(pairs), METRICS, machine, prepare)


def made(tmp_path, *pairs, leave_out=""):
    """A grid whose runs are there, but for those of the row ``leave_out``."""
    ablation = planned(tmp_path, *pairs)
    for row in ablation.rows:
        for spec in (task.spec for task in row.tasks if row.label != leave_out):
            number = int(spec.key[:8], 16) % 9999
            finish(tmp_path, spec, paired_predictions(1, spec.fold, number, tree=toy_grid.TREE))
    return ablation


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
    with pytest.raises(UsageError, match="4 settings"):
        parse_axes([f"{c}=1,2" for c in "abcd"])


def test_every_combination_of_method_and_trainer_fields_is_run(tmp_path):
    ablation = planned(tmp_path, "width=3,5", "lr=0.001,0.01", "max_instances=none,4")
    values = {
        (s.method_config["width"], s.trainer.lr, s.trainer.max_instances): row.label
        for row in ablation.rows
        for s in [row.tasks[0].spec]
    }
    assert len(values) == 8
    assert values[3, 0.01, None] == "width=3, lr=0.01, max_instances=none"
    assert all(len(row.tasks) == 2 for row in ablation.rows)


def test_the_default_is_found_by_content_not_by_spelling(tmp_path):
    study = planned(tmp_path, "width=3,5", "lr=1e-2,1e-3").study
    assert study.reference == "width=5, lr=1e-2"
    assert [study.cells[name]["default"] for name in study.cells] == ["no", "no", "yes", "no"]
    without = planned(tmp_path, "width=3,4")
    assert without.study.reference == ""
    board = without.board(tmp_path)
    assert any("the default (width=5) is not among the values" in note.text for note in board.notes)
    assert any("`mil-bench tune`" in note.text for note in board.notes)


def test_encoders_are_data_and_not_settings(tmp_path):
    grid, machine = request(tmp_path)
    with pytest.raises(UsageError, match="encoder=uni and encoder=gigapath are the same run"):
        plan_settings(grid, parse_axes(["encoder=uni,gigapath"]), METRICS, machine, prepare)
    axes = (Axis("encoder", ("uni",)), *parse_axes(["width=3,5"]))
    ablation = plan_settings(grid, axes, METRICS, machine, prepare)
    assert {task.data.options.encoder for task in ablation.tasks} == {"uni"}
    assert ablation.study.reference == "encoder=uni, width=5"
    assert ablation.board(tmp_path).id.encoder == "encoders"


@pytest.mark.parametrize(
    ("pair", "error", "sentence"),
    [
        ("widht=1,2", UnknownNameError, "did you mean 'width'"),
        ("width=x,2", ConfigError, "width='x' is not valid"),
        ("width=3,3.0", UsageError, "width=3 and width=3.0 are the same run"),
    ],
)
def test_a_wrong_field_or_value_is_one_sentence(tmp_path, pair, error, sentence):
    with pytest.raises(error, match=sentence):
        planned(tmp_path, pair)


def test_a_field_cannot_be_set_and_varied(tmp_path):
    with pytest.raises(UsageError, match="both in --set and in --vary"):
        planned(tmp_path, "width=3,5", settings={"width": "3"})


def test_the_table_compares_every_combination_with_the_default(tmp_path):
    ablation = made(tmp_path, "width=3,5,8")
    table = report_of(ablation.board(tmp_path)).table("sensitivity")
    assert table.keys == ("width", "score")
    rows = {(row["width"], row.score): row for row in table.rows}
    accuracy = Score("balanced_accuracy")
    default, other = rows["5", accuracy], rows["8", accuracy]
    assert other["difference"].value == pytest.approx(other["value"].value - default["value"].value)
    assert default["default"] == "yes"
    assert default["difference"] is None
    assert [row["width"] for row in table.rows if row.score == accuracy] == ["3", "5", "8"]


@pytest.mark.parametrize(
    ("pairs", "panels", "hole"),
    [
        (["width=3,5,8"], 2, "width=3"),
        (["width=3,5", "lr=1e-2,1e-3,1e-4"], 2, "width=3, lr=1e-3"),
        (
            ["width=3,5", "lr=1e-2,1e-3", "max_instances=none,4"],
            4,
            "width=3, lr=1e-3, max_instances=4",
        ),
    ],
)
def test_a_line_heat_maps_or_panels_are_drawn_even_with_holes(tmp_path, pairs, panels, hole):
    ablation = made(tmp_path, *pairs, leave_out=hole)
    figure = draw(report_of(ablation.board(tmp_path)))
    assert len(figure.axes) == panels
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    assert any("0 of 2" in text for text in texts)


def test_the_folder_is_named_after_the_settings(tmp_path):
    ablation = made(tmp_path, "width=3,5", leave_out="width=3")
    folder = write_ablation(ablation, tmp_path, tmp_path / "out", Console(quiet=True))
    assert folder.relative_to(tmp_path / "out").as_posix() == (
        "embedded/toy/toy/kfold-3/plain/vary-width"
    )
    names = {path.name for path in folder.iterdir()}
    assert names >= {"README.md", "sensitivity.csv", "sensitivity.tex", "sensitivity.png"}
    assert "no result (2 missing)" in (folder / "README.md").read_text()
