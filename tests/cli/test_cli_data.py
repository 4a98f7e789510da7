"""``mil-bench data``: simulate, check, cache and split, as a new user does."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mil_bench.cli.main import main


def run(*words):
    with pytest.raises(SystemExit) as ended:
        main(["data", *map(str, words)])
    return ended.value.code


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohort") / "bracs"
    code = run("simulate", "--like", "bracs", "--out", root, "--count", 60, "--max-patches", 20)
    assert code == 0
    return root


def test_a_simulated_cohort_passes_the_check_and_is_called_simulated(cohort, tmp_path, capsys):
    words = ["bracs", "--data-root", cohort, "--cache-dir", tmp_path, "--split", "official"]
    with pytest.raises(SystemExit) as ended:
        main(["check", "dataset", *map(str, words)])
    assert ended.value.code == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "(simulated data, tree bracs-3)" in printed
    assert "60 labelled slides" in printed
    assert "ready to run" in printed


def test_packing_reports_bags_patches_and_dimension(cohort, tmp_path, capsys):
    words = ["--dataset", "bracs", "--data-root", cohort, "--cache-dir", tmp_path]
    assert run("cache", *words) == 0
    assert "bracs: 60 bags" in capsys.readouterr().out
    (packed,) = tmp_path.rglob("features.npy")
    sizes = pd.read_csv(cohort / "instances.csv")["slide_id"].value_counts()
    assert np.load(packed, mmap_mode="r").shape[0] >= sizes.sum()


def test_a_split_is_saved_without_features_and_keeps_patients_whole(cohort, tmp_path, capsys):
    labels = cohort.parent / "labels-only"
    labels.mkdir()
    (labels / "BRACS.xlsx").write_bytes((cohort / "BRACS.xlsx").read_bytes())
    assert run("split", "--dataset", "bracs", "--data-root", labels, "--split", "kfold-3",
               "--out", tmp_path) == 0  # fmt: skip
    (path,) = tmp_path.glob("kfold-3-*.csv")
    split = pd.read_csv(path, dtype=str).set_index("slide_id")
    sheet = pd.read_excel(labels / "BRACS.xlsx", dtype=str).set_index("WSI Filename")
    for fold in split.columns:
        assert set(split[fold]) == {"train", "val", "test"}
        assert split[fold].groupby(sheet["Patient Id"]).nunique().max() == 1


def test_what_is_wrong_with_a_split_is_a_note(cohort, tmp_path, capsys):
    words = ["--dataset", "bracs", "--data-root", cohort, "--split", "mccv-3", "--out", tmp_path]
    assert run("split", *words) == 0
    said = capsys.readouterr().out
    assert said.startswith("note ")
    assert "Monte-Carlo" in said.splitlines()[0]


def test_a_folder_that_is_not_a_simulation_is_left_alone(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("precious")
    assert run("simulate", "--like", "ccc", "--out", tmp_path) == 1
    assert (tmp_path / "thesis.txt").read_text() == "precious"
    assert capsys.readouterr().err.startswith("error: ")
