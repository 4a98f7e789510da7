"""``mil-bench score``: any predictions, printed by the code of the boards."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from prediction_cases import BRACS, random_predictions
from rich.console import Console

from mil_bench.base.errors import DataError, UsageError
from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.score import score_file
from mil_bench.evaluation.scores import Scores, leaf_scores

TREE = """
name = "own"
[tree]
benign = ["N", "PB", "UDH"]
atypical = ["FEA", "ADH"]
malignant = ["DCIS", "IC"]
"""


@pytest.fixture
def predictions(tmp_path):
    p = random_predictions(BRACS, skill=1)
    table = pd.DataFrame(p.heads[LEAF], columns=list(BRACS.leaves))
    table.insert(0, "label", [BRACS.leaves[y] for y in p.labels])
    table.insert(0, "slide_id", p.slide_ids)
    table.to_csv(tmp_path / "p.csv", index=False)
    return tmp_path / "p.csv", p


def score(path, dataset=None, tree=None, data_root=None):
    console = Console(file=io.StringIO(), width=120)
    return score_file(path, dataset, tree, data_root, console), console.file.getvalue()


def test_a_tree_file_is_enough(predictions, tmp_path):
    path, p = predictions
    (tmp_path / "tree.toml").write_text(TREE)
    scores, shown = score(path, tree=str(tmp_path / "tree.toml"))
    assert scores["test"].by_name == pytest.approx(Scores.of(p).by_name, nan_ok=True)
    assert f"{100 * leaf_scores(p)['balanced_accuracy']:.1f}" in shown
    for words in ("tree own", "Severity", "classes: leaf", "classes: coarse, summed", "DCIS"):
        assert words in shown
    assert "no patient or group is given" in shown


def test_a_dataset_name_gives_the_tree_without_any_data(predictions, monkeypatch):
    monkeypatch.delenv("MIL_BENCH_DATA", raising=False)
    path, p = predictions
    scores, _ = score(path, dataset="bracs")
    assert scores["test"].by_name == pytest.approx(Scores.of(p).by_name, nan_ok=True)


def test_own_data_gives_labels_and_patients(predictions, tmp_path):
    path, p = predictions
    labels = [BRACS.leaves[y] for y in p.labels]
    pd.DataFrame({"slide_id": p.slide_ids, "patient_id": p.groups, "label": labels}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    (tmp_path / "features").mkdir()
    (tmp_path / "tree.toml").write_text(TREE)
    (tmp_path / "my.toml").write_text(
        'name = "my"\nlabels = "labels.csv"\nfeatures = "features"\ntree = "tree.toml"\n'
    )
    pd.read_csv(path).drop(columns="label").to_csv(path, index=False)
    scores, shown = score(path, dataset=str(tmp_path / "my.toml"))
    assert scores["test"].by_name == pytest.approx(Scores.of(p).by_name, nan_ok=True)
    assert scores["test"].groups == frozenset(p.groups)
    assert "no patient" not in shown


def test_wrong_classes_and_no_tree_are_refused(predictions):
    path, _ = predictions
    with pytest.raises(DataError, match="no columns"):
        score(path, dataset="panda")
    with pytest.raises(UsageError, match="--dataset NAME or --tree FILE"):
        score(path)
