"""``mil-bench score``: any predictions, scored and compared by the code of the boards."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from foreign_tables import frame, written
from prediction_cases import BRACS, FLAT, random_predictions
from rich.console import Console
from sklearn.metrics import roc_auc_score

from mil_bench import Bootstrap, Predictions, Score, score
from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.score import ScoreRequest, show_scores
from mil_bench.cli.main import main
from mil_bench.evaluation.scores import Scores, leaf_scores

TREE = """
name = "own"
[tree]
benign = ["N", "PB", "UDH"]
atypical = ["FEA", "ADH"]
malignant = ["DCIS", "IC"]
"""
P = random_predictions(BRACS, skill=1)
A, B = (random_predictions(FLAT, n=90, seed=k, skill=s) for k, s in ((1, 3), (2, 0)))


@pytest.fixture
def predictions(tmp_path):
    (tmp_path / "tree.toml").write_text(TREE)
    return written(tmp_path / "p.csv", frame(P))


@pytest.fixture
def pair(tmp_path):
    """Two models of the same slides, the first far better."""
    labels = A.labels
    other = Predictions(FLAT, A.slide_ids, A.groups, labels, B.heads)
    return [
        written(tmp_path / f"{name}.csv", frame(p, patient_id=p.groups))
        for name, p in (("good", A), ("poor", other))
    ]


def shown(*files, **how):
    console = Console(file=io.StringIO(), width=120)
    reports = ScoreRequest(files, **how).reports()
    show_scores(reports, console)
    return reports, " ".join(console.file.getvalue().split())


def scores_of(report):
    (row,) = report.board.rows
    (record,) = row.done.values()
    return record.scores


def test_a_tree_file_is_enough(predictions, tmp_path):
    reports, text = shown(predictions, tree=str(tmp_path / "tree.toml"))
    assert scores_of(reports["test"]).by_name == pytest.approx(Scores.of(P).by_name, nan_ok=True)
    value = 100 * leaf_scores(P)["balanced_accuracy"]
    assert f"p: balanced accuracy {value:.1f} (95 % CI" in text
    for words in ("own", "Severity", "classes: leaf", "classes: coarse, summed", "DCIS"):
        assert words in text
    assert "patients are unknown" in text


def test_no_tree_is_enough(predictions):
    reports, text = shown(predictions)
    assert scores_of(reports["test"]).by_name["macro_auc"] == pytest.approx(
        Scores.of(P).by_name["macro_auc"]
    )
    assert "classes are read from the file: N, PB, UDH, FEA, ADH, DCIS, IC" in text


def test_a_dataset_name_gives_the_tree_without_any_data(predictions, monkeypatch):
    monkeypatch.delenv("MIL_BENCH_DATA", raising=False)
    reports, _ = shown(predictions, dataset="bracs")
    assert scores_of(reports["test"]).by_name == pytest.approx(Scores.of(P).by_name, nan_ok=True)


def test_own_data_gives_labels_and_patients(predictions, tmp_path):
    labels = [BRACS.leaves[y] for y in P.labels]
    pd.DataFrame({"wsi": P.slide_ids, "patient_id": P.groups, "label": labels}).to_csv(
        tmp_path / "labels.csv", index=False
    )
    (tmp_path / "features").mkdir()
    (tmp_path / "my.toml").write_text(
        'name = "my"\nlabels = "labels.csv"\nfeatures = "features"\ntree = "tree.toml"\n'
        '[columns]\nslide_id = "wsi"\n'
    )
    table = pd.read_csv(predictions).drop(columns="label").rename(columns={"slide_id": "wsi"})
    table.assign(wsi=table["wsi"] + ".svs").to_csv(predictions, index=False)
    reports, text = shown(predictions, dataset=str(tmp_path / "my.toml"))
    scores = scores_of(reports["test"])
    assert scores.by_name == pytest.approx(Scores.of(P).by_name, nan_ok=True)
    assert scores.groups == frozenset(P.groups)
    assert "patients are unknown" not in text


def test_wrong_classes_are_refused(predictions):
    with pytest.raises(DataError, match="no columns"):
        shown(predictions, dataset="panda")


# Two and more models.


def test_two_files_are_compared_by_the_paired_bootstrap_over_patients(pair):
    scored = score(pair)
    a, b = (Predictions.read(path) for path in pair)
    drawn = Bootstrap.of({"good": {(0, 0): a}, "poor": {(0, 0): b}})
    expected = drawn.difference("good", "poor", Score("macro_auc"))
    rows = scored["test"]["scores"].set_index("score")
    row = rows.loc["macro_auc"]
    assert row["difference"] == pytest.approx(expected.value, abs=1e-6)
    assert row["difference_low"] == pytest.approx(expected.low, abs=1e-6)
    assert row["difference_high"] == pytest.approx(expected.high, abs=1e-6)
    assert row["p"] == pytest.approx(expected.p, abs=1e-6)
    auc = [roc_auc_score(p.labels, p.heads[LEAF][:, 1]) for p in (a, b)]
    assert row["difference"] == pytest.approx(auc[0] - auc[1], abs=1e-6)
    overall = scored["test"]["overall"].set_index("method")
    assert overall["macro_auc"].tolist() == pytest.approx(auc, abs=1e-6)
    assert scored.verdicts["test"].startswith("These trained good models beat poor")
    assert set(scored["test"]) >= {"scores", "classes", "slides", "overall", "classwise"}


def test_three_files_are_corrected_for_three_comparisons(pair, tmp_path):
    third = written(tmp_path / "third.csv", frame(A, patient_id=A.groups).assign(no=0.4, yes=0.6))
    pairs = score([*pair, third])["test"]["pairs"]
    assert len(pairs[pairs["score"] == "balanced_accuracy"]) == 3
    assert (pairs["p_holm"] >= pairs["p"] - 1e-9).all()


def test_folds_count_as_on_boards_and_unknown_training_sets_are_said(tmp_path):
    paths = []
    for name, skill in (("a", 3.0), ("b", 0.0)):
        for k in range(3):
            p = random_predictions(FLAT, n=60, seed=k, skill=3.0)
            noise = random_predictions(FLAT, n=60, seed=50 + k, labels=p.labels, skill=skill)
            q = Predictions(
                FLAT, np.char.add(f"f{k}", p.slide_ids), p.groups, p.labels, noise.heads
            )
            paths.append(written(tmp_path / f"{name}_fold{k}.csv", frame(q)))
    scored = score(paths)
    each = [leaf_scores(Predictions.read(path))["macro_auc"] for path in paths]
    overall = scored["test"]["overall"].set_index("method")["macro_auc"]
    assert overall["a"] == pytest.approx(np.mean(each[:3]), abs=1e-6)
    assert overall["b"] == pytest.approx(np.mean(each[3:]), abs=1e-6)
    assert "the sizes of the training sets are unknown" in scored.verdicts["test"]


def test_identical_files_get_no_verdict(pair, tmp_path):
    again = written(tmp_path / "again.csv", pd.read_csv(pair[0]).iloc[::-1])
    scored = score([pair[0], again])
    assert scored.verdicts["test"] == (
        "good and again are identical: the same predictions of the same slides."
    )
    assert "scores" not in scored["test"]
    assert "pairs" not in scored["test"]


def test_other_slides_are_compared_only_on_request_and_their_number_is_said(pair):
    pd.read_csv(pair[1]).iloc[10:].to_csv(pair[1], index=False)
    with pytest.raises(DataError, match=r"90 slides and poor 80 .* share 80; add --common"):
        score(pair)
    scored = score(pair, common=True)
    both = Predictions.read(pair[1])
    overall = scored["test"]["overall"].set_index("method")
    auc = roc_auc_score(both.labels, both.heads[LEAF][:, 1])
    assert overall.loc["poor", "macro_auc"] == pytest.approx(auc, abs=1e-6)
    assert set(overall["test_slides"]) == {80}


def test_nothing_shared_is_refused(pair):
    table = pd.read_csv(pair[1])
    table.assign(slide_id="x" + table["slide_id"]).to_csv(pair[1], index=False)
    with pytest.raises(DataError, match="share 0; nothing can be compared"):
        score(pair)
    with pytest.raises(DataError, match=r"no slide .* is predicted by all"):
        score(pair, common=True)


def test_labels_that_disagree_between_files_are_refused(pair):
    table = pd.read_csv(pair[1])
    table.loc[3, "label"] = {"no": "yes", "yes": "no"}[table.loc[3, "label"]]
    table.to_csv(pair[1], index=False)
    with pytest.raises(DataError, match=r"poor cannot be compared: .*labels of 1 slides? differ"):
        score(pair)


# Degenerate files.


@pytest.mark.parametrize(
    "change",
    [
        lambda t: t.assign(label="no"),  # one class
        lambda t: t.assign(no=0.5, yes=0.5),  # constant
        lambda t: t.assign(patient_id="p"),  # one patient
        lambda t: t.head(1),
        lambda t: t.head(2),
    ],
)
def test_degenerate_files_are_scored_as_far_as_they_go(pair, change):
    for path in pair:
        change(pd.read_csv(path)).to_csv(path, index=False)
    for files in (pair[:1], pair):
        reports, text = shown(*files, tree=None)
        assert set(reports) == {"test"}
        assert "Traceback" not in text
    assert Scores.of(Predictions.read(pair[0], FLAT)).slides


def test_decisions_stand_beside_probabilities_with_ranking_scores_empty(pair, tmp_path):
    table = pd.read_csv(pair[1])
    decided = np.where(table["yes"] > 0.5, "yes", "no")
    path = written(tmp_path / "yesno.csv", table.drop(columns=["no", "yes"]).assign(pred=decided))
    overall = score([pair[0], path])["test"]["overall"].set_index("method")
    assert np.isnan(overall.loc["yesno", "macro_auc"])
    assert np.isnan(overall.loc["yesno", "brier"])
    accuracy = (decided == table["label"]).mean()
    assert overall.loc["yesno", "accuracy"] == pytest.approx(accuracy, abs=1e-6)
    assert main_exit(["score", str(path), str(pair[0]), "--out", str(tmp_path / "out")]) == 0


def test_the_example_of_the_documentation_runs(pair, tmp_path, monkeypatch):
    for path, name in zip(pair, "AB", strict=True):
        path.rename(tmp_path / f"{name}.csv")
    page = Path(__file__).resolve().parents[2] / "docs" / "score.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(compile(code, "score.md", "exec"), names)
    row = names["scored"]["test"]["scores"].set_index("score").loc["macro_auc"]
    difference = names["draws"].difference("A", "B", Score("macro_auc"))
    assert row["p"] == pytest.approx(difference.p, abs=1e-6)


# The command.


def main_exit(words):
    with pytest.raises(SystemExit) as end:
        main(words)
    return end.value.code


def test_the_command_writes_every_format_and_figures(pair, tmp_path, capsys):
    out = tmp_path / "out"
    assert main_exit(["score", *map(str, pair), "--out", str(out)]) == 0
    assert "good models beat poor" in " ".join(capsys.readouterr().out.split())
    folder = out / "predictions"
    names = {path.name for path in folder.rglob("*")}
    assert {"overall.csv", "overall.tex", "scores.csv", "README.md", "overview.png"} <= names
    assert {"forest.svg", "roc.png", "reliability.png"} <= names


def test_the_command_refuses_logits_in_a_sentence(pair, capsys):
    table = pd.read_csv(pair[0])
    table.assign(no=table["no"] * 9 - 4, yes=table["yes"] * 9 - 4).to_csv(pair[0], index=False)
    assert main_exit(["score", str(pair[0])]) == 1
    assert "--logits" in capsys.readouterr().err
    assert main_exit(["score", str(pair[0]), "--logits"]) == 0
