"""``mil-bench ablate`` as typed, on the toy data."""

from __future__ import annotations

import pandas as pd
import pytest
import toy_parts  # noqa: F401  (registers the method)

from mil_bench.cli.main import main


def typed(words, folder):
    with pytest.raises(SystemExit) as ended:
        main(["ablate", "--dataset", "toy", "--device", "cpu", "--runs", str(folder / "runs"),
              "--out", str(folder / "out"), *words.split()])  # fmt: skip
    return ended.value.code


def test_a_study_is_run_and_tabled_and_the_second_time_only_tabled(tmp_path, capfd):
    words = "--method parts --fold 0,1 --variants no_bias,tiny --set trainer.epochs=1"
    assert typed(words, tmp_path) == 0
    folder = tmp_path / "out/embedded/toy/toy/kfold-3/parts"
    table = pd.read_csv(folder / "ablation.csv")
    assert table["variant"].unique().tolist() == ["full", "no_bias", "tiny"]
    assert (table["coverage"] == "2 of 2").all()
    said = capfd.readouterr().out
    assert "parts on toy, fold 0, seed 0 [bias=false] · " in said
    assert "6 done, 0 done before" in said
    before = (folder / "ablation.csv").read_bytes()
    assert typed(words, tmp_path) == 0
    assert "0 done, 6 done before" in capfd.readouterr().out
    assert (folder / "ablation.csv").read_bytes() == before


def test_a_dry_run_names_the_runs_and_makes_none(tmp_path, capfd):
    assert typed("--method parts --dry-run", tmp_path) == 0
    assert "27 to do" in capfd.readouterr().out
    assert not list(tmp_path.rglob("spec.json"))
    assert not (tmp_path / "out").exists()


def test_a_failed_run_is_a_row_and_the_exit_code_is_one(tmp_path):
    words = "--method exploding --vary width=3,5 --fold 0 --metric macro_f1"
    assert typed(words, tmp_path) == 1
    (table,) = (tmp_path / "out").rglob("sensitivity.csv")
    found = pd.read_csv(table)
    assert found["status"].str.startswith("no result (1 failed)").all()
    assert found["value"].isna().all()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--method plain", "method 'plain' declares no ablations"),
        ("--method parts,plain", "pass one method"),
        ("--method parts --variants no_bais", "did you mean 'no_bias'"),
        ("--method parts --variants bare --vary width=1,2", "cannot be combined"),
        ("--method parts --metric macro_acu", "did you mean 'macro_auc'"),
        ("--method parts --vary width", "is not KEY=VALUES"),
        ("--method prats", "unknown method 'prats'"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_runs_nothing(tmp_path, capfd, words, sentence):
    assert typed(words, tmp_path) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert sentence in line
    assert not list(tmp_path.rglob("spec.json"))
