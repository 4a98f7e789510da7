"""A run of a bundle trained again on the digits of scikit-learn."""

from __future__ import annotations

import json

import pytest
from bundle_cases import SUBMISSION, files_of

from mil_bench.base.errors import UsageError
from mil_bench.cli.main import main
from mil_bench.exchange.bundles.bundle import write_bundle
from mil_bench.exchange.bundles.verify import parse_cell
from mil_bench.runs.directory import file_digest

SETTINGS = ["--set", "epochs=1", "--device", "cpu"]


def exit_code(words):
    with pytest.raises(SystemExit) as stop:
        main(words)
    return stop.value.code


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """One short run of `mean`."""
    runs = tmp_path_factory.mktemp("verify") / "runs"
    words = ["run", "-m", "mean", "-d", "digit-bags", "--fold", "1", "--runs", str(runs)]
    assert exit_code([*words, *SETTINGS]) == 0
    return runs


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path / "cache"))


def bundle(path, files):
    return write_bundle(path, SUBMISSION.model_copy(update={"method": "mean"}), files)


def test_the_same_run_is_confirmed_and_recorded(trained, tmp_path, capfd):
    path = bundle(tmp_path / "b.zip", files_of(trained))
    words = ["submit", "verify", str(path), "--device", "cpu", "--verifier", "B. Other"]
    assert exit_code(words) == 0
    out = capfd.readouterr().out
    assert out.startswith("mean, fold 1, seed 0: balanced accuracy")
    assert "same balanced accuracy" in out
    record = (tmp_path / "verified.toml").read_text()
    assert 'level = "repeated"' in record
    assert 'by = "B. Other"' in record


def test_a_forged_run_is_not_confirmed(trained, tmp_path, capfd):
    """Every test slide is right in the forged file, whose digest fits."""
    files = files_of(trained)
    name = next(n for n in files if n.endswith("predictions.csv"))
    lines = files[name].decode().splitlines()
    leaves = [column.removeprefix("leaf:") for column in lines[0].split(",")[4:]]
    forged = [lines[0]]
    for line in lines[1:]:
        cells = line.split(",")
        forged.append(",".join([*cells[:4], *("1.0" if c == cells[3] else "0.0" for c in leaves)]))
    files[name] = ("\n".join(forged) + "\n").encode()
    local = tmp_path / "forged.csv"
    local.write_bytes(files[name])
    result = name.replace("predictions.csv", "result.json")
    content = json.loads(files[result]) | {"predictions_sha256": file_digest(local)}
    files[result] = json.dumps(content).encode()
    path = bundle(tmp_path / "b.zip", files)
    words = ["submit", "verify", str(path), "--device", "cpu", "--verifier", "B. Other"]
    assert exit_code(words) == 1
    assert "reported 100.0" in capfd.readouterr().out
    assert not (tmp_path / "verified.toml").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--cell", "0,4"], "no run of seed 0, fold 4; it has 0,1"),
        (["--cell", "best"], "neither random nor SEED,FOLD"),
        (["--split", "kfold-5"], "split"),
        (["--tree", "coarse"], "labels"),
    ],
)
def test_other_cells_and_other_data_are_refused(trained, tmp_path, capfd, options, words):
    path = bundle(tmp_path / "b.zip", files_of(trained))
    assert exit_code(["submit", "verify", str(path), *options]) in (1, 2)
    assert words in capfd.readouterr().err


def test_another_version_of_the_method_is_refused(trained, tmp_path, capfd, monkeypatch):
    path = bundle(tmp_path / "b.zip", files_of(trained))
    from mil_bench.methods import METHODS

    monkeypatch.setattr(METHODS.get("mean"), "version", "99")
    assert exit_code(["submit", "verify", str(path)]) == 1
    assert "version of the method (99, the run 1)" in capfd.readouterr().err


def test_a_method_from_a_file_needs_the_file(trained, tmp_path, capfd, monkeypatch):
    path = bundle(tmp_path / "b.zip", files_of(trained))
    from mil_bench.base.registry import Registry

    known = Registry.__contains__
    monkeypatch.setattr(Registry, "__contains__", lambda self, n: n != "mean" and known(self, n))
    assert exit_code(["submit", "verify", str(path)]) == 1
    assert "mean is not installed; load its file with --plugin." in capfd.readouterr().err


def test_cells():
    assert parse_cell("random") is None
    assert parse_cell("2, 4") == (2, 4)
    for text in ("", "1", "1,2,3", "-1,0", "a,b"):
        with pytest.raises(UsageError):
            parse_cell(text)
