"""Own data that is wrong: one clear sentence, a non-zero exit, and nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
from feature_writers import random_bags, write_h5

from mil_bench.cli.main import main

LABELS = "slide_id,label\na,x\nb,y\nc,x\nd,y\n"
TOML = 'name = "t"\nlabels = "labels.csv"\nfeatures = "features"\n'


@pytest.fixture
def data(tmp_path, monkeypatch):
    """Four slides with features; the tests spoil one thing each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "labels.csv").write_text(LABELS)
    (tmp_path / "t.toml").write_text(TOML)
    (tmp_path / "features").mkdir()
    for name, features in random_bags(dict.fromkeys("abcd", 6), dim=16).items():
        write_h5(tmp_path / "features" / f"{name}.h5", {"features": features})
    return tmp_path


def failing_sentence(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["run", "-m", "mean", "-d", "t.toml", *words])
    error = capsys.readouterr().err
    assert ended.value.code in (1, 2)
    assert error.startswith("error: ")
    assert "Traceback" not in error
    return error


@pytest.mark.parametrize(
    ("file", "content", "sentence"),
    [
        (
            "labels.csv",
            LABELS.replace("d,y", "../d,y"),
            "'../d' is empty or would leave its folder",
        ),
        ("labels.csv", LABELS + "a,y\n", "1 slide is listed more than once"),
        ("labels.csv", "id,label\na,x\n", "slide_id"),
        ("labels.csv", LABELS.replace("d,y", "d,z"), "unknown label 'z' of tree"),
        ("t.toml", TOML + '[tree]\np = ["x", "y"]\nq = ["y"]\n', "'y' has two parents"),
        ("t.toml", TOML + 'tree = "no.toml"\n', "cannot read tree file"),
        ("t.toml", TOML.replace("features", "featurs", 1), "did you mean 'features'"),
        ("t.toml", TOML + "name = 1\n", "t.toml"),
        ("features/b.h5", "not a feature file", "truncated, damaged or not an HDF5 file"),
    ],
)
def test_a_spoiled_file_is_named_with_what_is_wrong(data, capsys, file, content, sentence):
    if file == "labels.csv" and content.endswith("d,z\n"):
        (data / "t.toml").write_text(TOML + '[tree]\np = ["x"]\nq = ["y"]\n')
    (data / file).write_text(content)
    assert sentence in failing_sentence(capsys)
    assert not (data / "runs").exists()


def test_a_cycle_in_a_tree_file_is_shown(data, capsys):
    (data / "loop.toml").write_text('leaves = ["x", "y"]\n[parents]\nx = "p"\np = "x"\ny = "p"\n')
    assert "cycle" in failing_sentence(capsys, "--tree", "loop.toml")


def test_a_truncated_file_is_named_and_the_other_bags_stay_packed(data, capsys):
    path = data / "features" / "c.h5"
    path.write_bytes(path.read_bytes()[:-400])
    assert "c.h5: truncated" in failing_sentence(capsys)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        (np.zeros((0, 16), np.float32), "empty"),
        (np.full((3, 16), np.nan, np.float32), "NaN"),
        (np.zeros((3, 5), np.float32), "5"),
    ],
)
def test_unusable_features_are_named(data, capsys, features, sentence):
    (data / "features" / "d.h5").unlink()
    write_h5(data / "features" / "d.h5", {"features": features})
    error = failing_sentence(capsys)
    assert "d.h5" in error or "slide d" in error
    assert sentence in error


def test_missing_features_are_listed_and_allow_missing_is_offered(data, capsys):
    (data / "features" / "d.h5").unlink()
    error = failing_sentence(capsys)
    assert "--allow-missing" in error
    assert "d" in error.split("--allow-missing")[0]


def test_a_slide_in_two_sets_is_named(data, capsys):
    (data / "split.csv").write_text("slide_id,split\na,train\nb,val\nc,test\nd,train\na,test\n")
    assert "'a'" in failing_sentence(capsys, "--split", "split.csv")


def test_a_patient_in_two_sets_is_refused_before_anything_runs(data, capsys):
    lines = LABELS.splitlines()
    patients = ["patient_id", "p1", "p1", "p2", "p3"]
    rows = [f"{line},{p}" for line, p in zip(lines, patients, strict=True)]
    (data / "labels.csv").write_text("\n".join(rows))
    (data / "split.csv").write_text("slide_id,split\na,train\nb,test\nc,val\nd,train\n")
    assert "leaks: group 'p1'" in failing_sentence(capsys, "--split", "split.csv")
    assert not list(data.glob("runs/t/mean"))
