"""The whole comparison at toy size; workers stay in this process, which only timing would mind."""

import json
import sys

import pytest
from small_machine import small_machine

from benchmarks import interleave
from benchmarks import training as training_module
from benchmarks.comparison import entries_of
from benchmarks.training_table import row_key, training_tables
from benchmarks.workloads import WORKLOADS
from mil_bench.base.errors import UnknownNameError


class Here:
    """A worker without a process."""

    def __init__(self, factory, threads):
        self.target = factory()

    def call(self, name, *args):
        return getattr(self.target, name)(*args)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


@pytest.fixture
def results(monkeypatch, tmp_path):
    """Where the command keeps its rows."""
    monkeypatch.setattr(interleave, "Worker", Here)
    small_machine(monkeypatch)
    monkeypatch.setitem(sys.modules, "torchmil", None)
    path = tmp_path / "machine" / "training.json"
    monkeypatch.setattr(training_module, "results_path", lambda *_: path)
    return path


def command(**options):
    defaults = {
        "workload": "tiny",
        "method": "abmil",
        "precisions": "32,bf16",
        "rounds": 2,
        "threads": 1,
        "bags": None,
        "dropout": True,
        "inference": False,
        "epochs": 1,
        "contestant": "ours,torchmil",
        "quick": False,
    }
    training_module.training(**{**defaults, **options})


def test_training_prints_a_table_and_keeps_every_round(results, capsys):
    command()
    plain, ours, bf16, torchmil = json.loads(results.read_text())["rows"]
    assert [r["contestant"] for r in (plain, ours, bf16)] == ["plain", "ours", "ours"]
    assert plain["ratios"] == [1.0, 1.0]
    for row in (ours, bf16):
        assert (row["batch"], row["bags"], len(row["seconds"])) == (4, 14, 2)
        rounds = zip(plain["seconds"], row["seconds"], row["ratios"], strict=True)
        assert all(ratio == p / own for p, own, ratio in rounds)
        assert row["instances"] == sum(WORKLOADS["tiny"].sizes(14))
        assert 0 <= row["quality"]["balanced_accuracy"] <= 1
    assert max(ours["difference"].values()) <= 1e-5 < max(bf16["difference"].values())
    assert "torchmil" in torchmil["skipped"]
    printed = capsys.readouterr().out
    assert "**tiny, abmil, train, 1 thread**" in printed
    assert "- torchmil 32, 1 bag: skipped, " in printed
    assert "pip install -e '.[bench]'" in printed


def test_inference_of_another_batch_is_another_row(results):
    command(inference=True, precisions="32", contestant="ours", bags=2)
    command(inference=True, precisions="32", contestant="ours", bags=3)
    rows = json.loads(results.read_text())["rows"]
    assert [(r["contestant"], r["batch"]) for r in rows] == [("plain", 1), ("ours", 2), ("ours", 3)]


def test_quick_keeps_nothing(results):
    command(quick=True, method="mean", precisions="32")
    assert not results.exists()


def test_an_unknown_word_is_one_sentence(results):
    with pytest.raises(UnknownNameError, match="workload 'W7'"):
        command(workload="W7")
    with pytest.raises(UnknownNameError, match="method 'clam'"):
        command(method="clam")


def test_only_abmil_has_an_opponent_in_torchmil():
    rivals = ("ours", "torchmil", "torchmil padded")
    names = {
        method: [e.contestant for e in entries_of(WORKLOADS["W2"], method, rivals, ["32"])]
        for method in ("abmil", "hmil")
    }
    assert names["abmil"] == ["plain", "ours", "torchmil", "torchmil padded"]
    assert names["hmil"] == ["plain", "ours"]


def test_the_table_shows_medians_ratios_and_shares():
    (entry,) = entries_of(WORKLOADS["W2"], "abmil", (), [])
    row = {
        **row_key(entry, "train", 2),
        "bags": 10,
        "instances": 1000,
        "seconds": [1.0, 2.0, 4.0],
        "ratios": [1.0, 3.0, 2.0],
        "floor": {"seconds": 0.5},
        "peak_mb": 12.3,
    }
    (table,) = training_tables([row])
    cells = ("plain", "5.0", "500", "150%", "2.00 [1.00, 3.00]", "25%", "12", "–", "–")
    assert table.rows == [cells]
