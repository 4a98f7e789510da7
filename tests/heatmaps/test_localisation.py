"""Scores over known patches against scikit-learn; the file in the run's folder."""

import io
import math

import numpy as np
import pytest
import torch
from rich.console import Console
from run_requests import request, run_grid
from sklearn.metrics import average_precision_score, roc_auc_score

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.datasets.load import load_dataset
from mil_bench.evaluation.predictions_csv import read_predictions
from mil_bench.heatmaps.localisation import localise
from mil_bench.heatmaps.localisation_table import (
    ClassLocalisation,
    read_localisation,
    write_localisation,
)
from mil_bench.heatmaps.patches import witnesses_of
from mil_bench.runs.directory import run_directories
from mil_bench.runs.load_run import load_run

CPU = torch.device("cpu")
DIGITS = {"one": "middle", "eight": "middle", "three": "high", "nine": "high"}


@pytest.mark.parametrize("method", ["hmil", "abmil"])
@pytest.mark.parametrize(("level", "name"), [("leaf", "three"), ("coarse", "middle")])
def test_auc_and_ap_are_those_of_scikit_learn_averaged_over_slides_of_the_class(
    digit_runs, method, level, name
):
    run = digit_runs[method]
    found = {(row.level, row.name): row for row in localise(run)}[level, name]
    labels, known = run.dataset.manifest.labels(), run.dataset.instance_labels
    aucs, aps, shares = [], [], []
    for slide in read_predictions(run.directory.predictions, run.taxonomy)["test"].slide_ids:
        if name not in (labels[slide], DIGITS.get(labels[slide])):
            continue
        truth = [name in (mark, DIGITS.get(mark)) for mark in known[slide]]
        with torch.no_grad():
            attention = run.method(run.batch(slide)).attention
        own = attention.get(level, attention["leaf"])
        column = 0 if own.shape[1] == 1 else run.taxonomy.classes[level].index(name)
        aucs.append(roc_auc_score(truth, own[:, column]))
        aps.append(average_precision_score(truth, own[:, column]))
        shares.append(np.mean(truth))
    assert found.slides == len(aucs) > 3
    assert (found.auc, found.ap) == pytest.approx((np.mean(aucs), np.mean(aps)))
    assert found.prevalence == pytest.approx(np.mean(shares))


def test_a_class_without_witnesses_is_undefined_and_not_zero(digit_runs):
    none = next(row for row in localise(digit_runs["hmil"]) if row.name == "none")
    assert none.slides == 0
    assert math.isnan(none.auc)


def test_a_dataset_without_known_patches_is_one_sentence(tmp_path):
    run_grid(*request(tmp_path, settings={"epochs": "1"}), Console(file=io.StringIO()))
    run = load_run(run_directories(tmp_path)[0], load_dataset("toy"), CPU)
    with pytest.raises(DataError, match=r"no patches of the test slides of toy are labelled"):
        localise(run)


def test_marks_may_be_any_node_and_count_for_all_nodes_above():
    tree = Taxonomy.from_tree("deep", {"x": {"y": ["a", "b"]}, "z": ["c"]})
    marks = ["a", "y", "c", "background", "z"]
    assert witnesses_of(marks, tree, "coarse", "x").tolist() == [True, True, False, False, False]
    assert witnesses_of(marks, tree, "level2", "y").tolist() == [True, True, False, False, False]
    assert witnesses_of(marks, tree, "leaf", "a").tolist() == [True, False, False, False, False]
    assert witnesses_of(marks, tree, "coarse", "z").tolist() == [False, False, True, False, True]
    assert witnesses_of(marks, tree, "leaf", "c").tolist() == [False, False, True, False, False]


def test_rows_come_back_as_they_were_written(tmp_path):
    rows = [
        ClassLocalisation("leaf", "=IC", "attention", 3, 1 / 3, 0.1, 0.7, 0.2),
        ClassLocalisation("leaf", "N", "none", 0, *[math.nan] * 4),
    ]
    assert read_localisation(tmp_path) is None
    write_localisation(tmp_path, rows)
    first, second = read_localisation(tmp_path)
    assert first == rows[0]
    assert (second.slides, math.isnan(second.ap)) == (0, True)


@pytest.mark.parametrize("text", ["", "level,name\nleaf,N\n", "x", "\x00"])
def test_a_damaged_file_is_one_sentence(tmp_path, text):
    (tmp_path / "localisation.csv").write_text(text)
    with pytest.raises(DataError, match="damaged or of another version"):
        read_localisation(tmp_path)
