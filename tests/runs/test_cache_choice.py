"""Where features are kept changes neither the key of a run nor a bit of its predictions."""

import io
from dataclasses import replace

import numpy as np
import pytest
import toy_grid
from rich.console import Console
from run_requests import request, run_grid

from mil_bench.bags import placement
from mil_bench.base.errors import RunError, UsageError
from mil_bench.runs import machine
from mil_bench.runs.directory import run_directories


def done_in(runs, **changes):
    """Key, predictions and result of the only run of a grid."""
    outcome = run_grid(*request(runs, **changes), Console(file=io.StringIO()))
    assert not outcome.failed
    (directory,) = run_directories(runs)
    return directory.path.name, directory.predictions.read_bytes(), directory.read_result()


@pytest.mark.parametrize(
    ("stored", "precision", "standardize", "auto"),
    [
        (np.float32, "32", False, "none"),
        (np.float16, "32", False, "ram"),
        (np.float32, "bf16", False, "ram"),
        (np.float32, "32", True, "ram"),
        (np.float16, "bf16", True, "ram"),
    ],
)
def test_none_ram_and_auto_make_the_same_run(
    tmp_path, monkeypatch, stored, precision, standardize, auto
):
    whole = toy_grid.toy_dataset(standardize=standardize)
    store = replace(whole.store, features=whole.store.features.astype(stored))
    dataset = replace(whole, store=store)
    monkeypatch.setattr(toy_grid, "toy_dataset", lambda: dataset)
    made = {
        choice: done_in(tmp_path / choice, cache=choice, precision=precision)
        for choice in ("none", "ram", "auto")
    }
    assert len({key for key, _, _ in made.values()}) == 1
    assert len({predictions for _, predictions, _ in made.values()}) == 1
    assert [made[choice][2]["cache"] for choice in made] == ["none", "ram", auto]


def test_folds_of_standardised_data_do_not_share_a_copy(tmp_path, monkeypatch):
    dataset = toy_grid.toy_dataset(standardize=True)
    monkeypatch.setattr(toy_grid, "toy_dataset", lambda: dataset)
    for name, folds in {"alone": [[0], [1]], "together": [[0, 1]]}.items():
        for some in folds:
            ask = request(tmp_path / name, cache="ram", folds=some, seeds=[0, 1])
            assert len(run_grid(*ask, Console(file=io.StringIO())).done) == 2 * len(some)
    one, other = (
        [d.predictions.read_bytes() for d in run_directories(tmp_path / name)]
        for name in ("alone", "together")
    )
    assert one == other


def test_every_run_of_a_mixed_grid_has_the_home_of_its_own_type(tmp_path, monkeypatch):
    monkeypatch.setattr(toy_grid.Tiny, "safe_in_bf16", True)
    monkeypatch.setattr(toy_grid.Plain, "safe_in_bf16", False)
    monkeypatch.setattr(machine, "resolve_precision", lambda _, __, safe: "bf16" if safe else "32")
    made = {}
    for name in ("together", "tiny", "plain"):
        methods = ["tiny", "plain"] if name == "together" else [name]
        ask = request(tmp_path / name, methods=methods, seeds=[0, 1])
        assert len(run_grid(*ask, Console(file=io.StringIO())).done) == 2 * len(methods)
        for run in run_directories(tmp_path / name):
            made[name, run.path.name] = (run.predictions.read_bytes(), run.read_result()["cache"])
    for (name, key), alone in made.items():
        if name != "together":
            assert made["together", key] == alone
            assert alone[1] == {"tiny": "ram", "plain": "none"}[name]


def test_a_choice_that_cannot_be_had_stops_the_grid_before_its_first_run(tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="--placement gpu requires a CUDA device"):
        run_grid(*request(tmp_path, cache="gpu"), Console(file=io.StringIO()))
    monkeypatch.setattr(placement, "available_memory", lambda: 1000)
    with pytest.raises(RunError, match="ram requires"):
        run_grid(*request(tmp_path, cache="ram"), Console(file=io.StringIO()))
    assert not run_directories(tmp_path)


def test_the_time_waited_for_batches_is_in_the_log_and_in_the_result(tmp_path):
    _, _, result = done_in(tmp_path)
    (directory,) = run_directories(tmp_path)
    log = np.genfromtxt(directory.path / "train.csv", delimiter=",", names=True)
    assert 0 < result["wait_seconds"] < result["train_seconds"]
    assert result["wait_seconds"] == pytest.approx(log["wait_seconds"].sum())
    assert (log["wait_seconds"] <= log["seconds"]).all()
