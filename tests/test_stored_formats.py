"""Files of every format that was ever written are read for ever.

``data/formats/run-1`` and ``run-2`` are folders of runs as two versions of mil-bench have written
them. They are never changed; a new format is a new folder.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
from prediction_cases import BRACS
from scipy.special import softmax
from sklearn.metrics import balanced_accuracy_score

from mil_bench.bags.features_lock import read_locks
from mil_bench.base.errors import DataError
from mil_bench.base.formats import RUN_FOLDER
from mil_bench.boards.collect import collect
from mil_bench.boards.figures.training import read_history
from mil_bench.boards.frames import leaderboard
from mil_bench.exchange.bundles.protocol import read_protocol, read_split
from mil_bench.exchange.models.load_model import load_model
from mil_bench.runs.studies.stored_plans import stored_grids
from mil_bench.runs.tuning_record import read_tunings
from mil_bench.training.checkpoint import Checkpoint
from mil_bench.training.initial_weights import read_initial_weights

FORMATS = Path(__file__).parent / "data" / "formats"
RUNS = sorted(FORMATS.glob("run-*"))


def test_there_is_a_stored_folder_of_every_format():
    assert [folder.name for folder in RUNS] == [f"run-{i + 1}" for i in range(RUN_FOLDER)]


@pytest.mark.parametrize("runs", RUNS, ids=lambda folder: folder.name)
def test_runs_of_every_format_are_scored_as_their_own_file_says(runs):
    (record,) = collect(runs)
    assert (record.status, record.reason) == ("done", "")
    stored = json.loads((record.path / "result.json").read_text())
    assert stored.get("format", 1) == int(runs.name.removeprefix("run-"))
    table = pd.read_csv(record.path / "predictions.csv")
    test = table[table["set"] == "test"]
    leaves = test[[column for column in test if column.startswith("leaf:")]]
    decided = leaves.idxmax(axis=1).str.removeprefix("leaf:")
    expected = balanced_accuracy_score(test["label"], decided)
    assert record.scores.by_name["balanced_accuracy"] == pytest.approx(expected)
    assert record.result.n_test == len(test)
    assert len(read_history(record.path / "train.csv")["epoch"]) >= 1


@pytest.mark.parametrize("runs", RUNS, ids=lambda folder: folder.name)
def test_their_labels_are_still_those_of_the_dataset(runs):
    """`digit-bags` is the same for ever, and so are the digests of its labels and patients."""
    (board,) = leaderboard(runs)
    assert board.problems == ()
    assert not any("not verified" in note for note in board.caveats)


@pytest.mark.parametrize("runs", RUNS, ids=lambda folder: folder.name)
def test_their_plans_are_read(runs):
    (grid,), notes = stored_grids(runs)
    assert notes == []
    assert all(task.spec.dataset == "digit-bags" for task in grid.tasks())


def test_other_files_of_the_first_formats_are_read():
    (record,) = read_tunings(FORMATS / "run-1")
    assert (record.trials, record.method) == (3, "abmil")
    locks, unreadable = read_locks(FORMATS / "run-2")
    assert unreadable == []
    (lock,) = locks.values()
    assert [values[0] for values in lock.slides.values()] == [78, 68, 34]
    (run,) = (FORMATS / "run-2").rglob("checkpoint.pt")
    assert Checkpoint.load(run).best_model


def test_a_bundle_of_the_first_format_is_scored_as_the_folder_it_was_packed_from(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path))
    (packed,) = collect(FORMATS / "bundle-1.zip")
    (record,) = collect(FORMATS / "run-2")
    assert packed.key == record.key
    assert packed.scores.by_name == record.scores.by_name


def test_a_protocol_of_the_first_format_is_read_with_its_split():
    path = FORMATS / "protocol-1" / "digit-bags-2026-11.toml"
    protocol = read_protocol(path)
    (record,) = collect(FORMATS / "run-1")
    assert protocol.requires(record.spec)
    split = read_split(path, protocol)
    assert set(split[0].test) == record.scores.slides


def test_an_export_of_the_first_format_predicts_as_its_equations_say():
    folder = FORMATS / "export-1"
    w = {k: v.numpy() for k, v in safetensors.torch.load_file(folder / "model.safetensors").items()}
    x = np.random.default_rng(5).normal(size=(9, 6)).astype("float32")
    z = (x - w["standardization.mean"]) / w["standardization.std"]
    h = np.maximum(z @ w["project.0.weight"].T + w["project.0.bias"], 0)
    value = np.tanh(h @ w["attention.value.weight"].T + w["attention.value.bias"])
    gate = 1 / (1 + np.exp(-(h @ w["attention.gate.weight"].T + w["attention.gate.bias"])))
    scores = (value * gate) @ w["attention.score.weight"].T + w["attention.score.bias"]
    pooled = (softmax(scores, axis=0) * h).sum(0)
    expected = softmax(w["classifier.weight"] @ pooled + w["classifier.bias"])
    model = load_model(folder)
    np.testing.assert_allclose(model.predict(x)["leaf"], expected, atol=1e-6)
    assert model.taxonomy.leaves == BRACS.leaves
    assert len(read_initial_weights(folder).tensors) == 10


def stated(path, version):
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": version}))


def test_files_of_newer_formats_are_one_sentence_each(tmp_path):
    runs = shutil.copytree(FORMATS / "run-1", tmp_path / "runs")
    for path in [*runs.rglob("result.json"), *runs.rglob("tuning-*"), *runs.glob(".plans/*")]:
        stated(path, 99)
    (record,) = collect(runs)
    assert record.status == "unreadable"
    assert "was written by a newer mil-bench (format 99" in record.reason
    with pytest.raises(DataError, match="newer mil-bench"):
        read_tunings(runs)
    grids, (note,) = stored_grids(runs)
    assert grids == []
    assert "newer mil-bench (format 99; this version reads up to 1)" in note
