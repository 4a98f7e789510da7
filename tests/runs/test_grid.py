import errno
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import toy_grid
from rich.console import Console
from run_requests import PLUGIN, request, run_grid

from mil_bench.base.errors import MilBenchError, RunError, SplitError, UnknownNameError, UsageError
from mil_bench.contract.store import BagStore
from mil_bench.evaluation.predictions_csv import read_predictions
from mil_bench.runs import execute
from mil_bench.runs.directory import RunDirectory, run_directories
from mil_bench.runs.machine import devices
from mil_bench.training.checkpoint import Checkpoint


def run(ask):
    """The outcome of a grid and what it printed."""
    text = io.StringIO()
    return run_grid(*ask, Console(file=text, force_terminal=False)), text.getvalue()


def files(runs, name):
    return sorted(runs.glob(f"[!.]*/*/*/{name}"))


def counts(outcome):
    return len(outcome.done), len(outcome.skipped), len(outcome.failed)


def test_a_grid_makes_every_method_fold_and_seed_once_and_then_skips_them(tmp_path):
    ask = request(tmp_path, methods=["plain", "tiny"], folds=[0, 2], seeds=[0, 5])
    outcome, said = run(ask)
    assert counts(outcome) == (8, 0, 0)
    specs = [RunDirectory(p.parent).read_spec() for p in files(tmp_path, "result.json")]
    assert {(s.method, s.fold, s.seed) for s in specs} == {
        (m, f, s) for m in ("plain", "tiny") for f in (0, 2) for s in (0, 5)
    }
    assert "8 done, 0 done before, 0 failed" in said
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()}
    outcome, said = run(ask)
    assert counts(outcome) == (0, 8, 0)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_done_run_holds_predictions_of_val_and_test_of_its_fold(tmp_path):
    run(request(tmp_path))
    directory = run_directories(tmp_path)[0]
    dataset = toy_grid.toy_dataset()
    sets = read_predictions(directory.predictions, dataset.taxonomy)
    split = pd.read_csv(next(tmp_path.glob("toy/splits/kfold-3-*.csv")), dtype=str)
    for name in ("val", "test"):
        expected = split.loc[split["fold_0"] == name, "slide_id"]
        assert sorted(sets[name].slide_ids) == sorted(expected)
        assert set(sets[name].heads) == {"leaf", "coarse"}
    result = directory.read_result()
    assert (result["n_train"], result["n_val"], result["n_test"]) == tuple(
        (split["fold_0"] == name).sum() for name in ("train", "val", "test")
    )
    assert result["parameters"] == 8 * 5 + 5 + 5 * 2 + 2 + 5 * 4 + 4
    log = pd.read_csv(directory.path / "train.csv")
    assert result["best_epoch"] == log["epoch"][log["val_log_loss"].idxmin()]
    assert result["best_value"] == log["val_log_loss"].min()
    env = json.loads(directory.env_path.read_text())
    assert env["packages"]["torch"] == torch.__version__.partition("+")[0]
    slim = Checkpoint.load(directory.checkpoint)
    assert slim.best_model
    assert slim.optimizer is None


def test_the_same_definition_twice_gives_identical_predictions(tmp_path):
    for name in ("one", "two"):
        run(request(tmp_path / name, folds=[0], seeds=[3]))
        torch.manual_seed(1)
        np.random.seed(1)
    one, two = (files(tmp_path / n, "predictions.csv")[0].read_bytes() for n in ("one", "two"))
    assert one == two


def test_every_run_has_the_asked_number_of_threads_and_a_continued_one_its_first(
    tmp_path, monkeypatch
):
    def threads_of_the_run():
        return json.loads(files(tmp_path, "env.json")[0].read_text())["threads"]

    run(request(tmp_path, methods=["broken"], threads=2))
    assert threads_of_the_run() == 2
    monkeypatch.setattr(toy_grid.Broken, "loss", toy_grid.Plain.loss)
    run(request(tmp_path, methods=["broken"], threads=1, existing="retry-failed"))
    assert threads_of_the_run() == 2
    assert torch.get_num_threads() == 1


def test_seeds_give_different_predictions(tmp_path):
    run(request(tmp_path, seeds=[0, 1]))
    one, two = (p.read_text() for p in files(tmp_path, "predictions.csv"))
    assert one != two


def test_the_key_does_not_depend_on_folders_jobs_or_device(tmp_path):
    run(request(tmp_path / "a", device="auto" if not torch.cuda.is_available() else "cpu"))
    run(request(tmp_path / "b", device="cpu", jobs=3))
    assert [d.path.name for d in run_directories(tmp_path / "a")] == [
        d.path.name for d in run_directories(tmp_path / "b")
    ]


def test_a_failing_method_leaves_a_row_with_a_traceback_and_the_others_go_on(tmp_path):
    outcome, said = run(request(tmp_path, methods=["broken", "exploding", "plain"]))
    assert counts(outcome) == (1, 0, 2)
    broken, exploding = outcome.failed
    assert broken.sentence.startswith("ValueError: no loss today (toy_grid.py, line ")
    assert "the training loss became nan in epoch 1 (not finite: loss, loss_" in exploding.sentence
    assert "); lower lr, set clip_norm" in exploding.sentence
    directory = RunDirectory.of(tmp_path, broken.spec)
    assert directory.status() == "failed"
    assert directory.read_failure()["error"] == broken.sentence
    assert 'raise ValueError("no loss today")' in directory.traceback.read_text()
    assert str(directory.path) in said
    assert "1 done, 0 done before, 2 failed" in said


def test_failed_runs_stay_failed_and_are_reported_until_retried(tmp_path, monkeypatch):
    ask = request(tmp_path, methods=["broken", "plain"])
    run(ask)
    outcome, said = run(ask)
    assert counts(outcome) == (0, 1, 1)
    assert "failed before: ValueError: no loss today" in outcome.failed[0].sentence
    assert f"mil-bench retry --failed --runs {tmp_path}" in said
    monkeypatch.setattr(toy_grid.Broken, "loss", toy_grid.Plain.loss)
    outcome, _ = run(request(tmp_path, methods=["broken", "plain"], existing="retry-failed"))
    assert counts(outcome) == (1, 1, 0)
    broken, plain = (pd.read_csv(p) for p in files(tmp_path, "predictions.csv"))
    pd.testing.assert_frame_equal(broken, plain)  # it went on from its first epoch


def test_overwrite_makes_runs_anew_and_keeps_the_old_folders(tmp_path):
    run(request(tmp_path))
    old = files(tmp_path, "result.json")[0].read_text()
    outcome, _ = run(request(tmp_path, existing="overwrite"))
    assert counts(outcome) == (1, 0, 0)
    kept = list(tmp_path.glob(".replaced/toy/plain/*/result.json"))
    assert [p.read_text() for p in kept] == [old]
    assert len(run_directories(tmp_path)) == 1


def test_a_run_that_another_process_makes_is_reported_and_left_alone(tmp_path):
    run(request(tmp_path, folds=[0, 1]))
    directory = run_directories(tmp_path)[0]
    directory.result.unlink()
    with directory.locked():
        for existing in ("skip", "retry-failed", "overwrite"):
            outcome, _ = run(request(tmp_path, folds=[0, 1], existing=existing))
            assert [o.spec.key for o in outcome.failed] == [directory.path.name]
            assert "executes run" in outcome.failed[0].sentence
    assert not directory.failure.exists()
    assert directory.status() == "interrupted"


def test_test_bags_are_read_only_after_the_checkpoint_is_finished(tmp_path, monkeypatch):
    dataset = toy_grid.toy_dataset()
    seen = []

    class Watched(dict):
        def __getitem__(self, slide):
            checkpoints = [Checkpoint.load(p) for p in files(tmp_path, "checkpoint.pt")]
            seen.append((slide, any(c.finished for c in checkpoints)))
            return super().__getitem__(slide)

    store = dataset.store
    watched = BagStore(store.encoder, store.features, None, Watched(store.rows), store.digest)
    monkeypatch.setattr(
        toy_grid.ToyData, "load", lambda *_: toy_grid.replace_store(dataset, watched)
    )
    run(request(tmp_path))
    split = pd.read_csv(next(tmp_path.glob("toy/splits/*.csv")), dtype=str)
    test = set(split.loc[split["fold_0"] == "test", "slide_id"])
    before = {slide for slide, finished in seen if not finished}
    after = {slide for slide, finished in seen if finished}
    assert before
    assert not before & test
    assert test <= after


def test_standardised_datasets_use_statistics_of_the_training_bags_and_store_them(
    tmp_path, monkeypatch
):
    dataset = toy_grid.toy_dataset(standardize=True)
    monkeypatch.setattr(toy_grid.ToyData, "load", lambda *_: dataset)
    run(request(tmp_path))
    split = pd.read_csv(next(tmp_path.glob("toy/splits/*.csv")), dtype=str)
    train = split.loc[split["fold_0"] == "train", "slide_id"]
    rows = np.concatenate([dataset.store.bag(s) for s in train])
    stored = Checkpoint.load(run_directories(tmp_path)[0].checkpoint)
    np.testing.assert_allclose(stored.mean.numpy(), rows.mean(0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(stored.std.numpy(), rows.std(0), rtol=1e-5)
    assert run_directories(tmp_path)[0].read_spec().standardize


def test_a_full_disk_is_one_sentence_and_the_run_can_be_continued(tmp_path, monkeypatch):
    real = os.fsync
    calls = iter(range(1000))

    def full_from_the_twelfth_call(handle):
        if next(calls) >= 12:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "checkpoint.pt")
        real(handle)

    monkeypatch.setattr(os, "fsync", full_from_the_twelfth_call)
    outcome, _ = run(request(tmp_path))
    assert counts(outcome) == (0, 0, 1)
    assert "cannot read or write" in outcome.failed[0].sentence
    assert "No space left on device" in outcome.failed[0].sentence
    monkeypatch.setattr(os, "fsync", real)
    begun = Checkpoint.load(files(tmp_path, "checkpoint.pt")[0]).epoch
    assert 0 < begun < 4
    outcome, _ = run(request(tmp_path, existing="retry-failed"))
    assert counts(outcome) == (1, 0, 0)
    run(request(tmp_path / "undisturbed"))
    assert files(tmp_path, "predictions.csv")[0].read_bytes() == (
        files(tmp_path / "undisturbed", "predictions.csv")[0].read_bytes()
    )


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot write in .*; choose another folder with --runs"):
        run(request(tmp_path / "file"))


def test_a_damaged_run_is_reported_and_the_others_go_on(tmp_path):
    run(request(tmp_path, folds=[0, 1], methods=["plain", "broken"]))
    broken, other = files(tmp_path, "failure.json")
    broken.write_text("{")
    other.unlink()
    (other.parent / "checkpoint.pt").write_bytes(b"half a checkpoint")
    outcome, _ = run(request(tmp_path, folds=[0, 1, 2], methods=["plain", "broken"]))
    assert counts(outcome) == (1, 2, 3)
    sentences = " ".join(o.sentence for o in outcome.failed)
    assert f"cannot read {broken}" in sentences
    assert "is not a readable checkpoint; restart this run with --overwrite" in sentences


def test_running_out_of_memory_says_what_to_lower(tmp_path, monkeypatch):
    def too_much(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(toy_grid.Plain, "forward", too_much)
    outcome, _ = run(request(tmp_path))
    assert "out of memory; lower batch_size" in outcome.failed[0].sentence


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"methods": ["plane"]}, UnknownNameError, "method 'plane'; did you mean 'plain'"),
        ({"dataset": "toi"}, UnknownNameError, "dataset 'toi'; did you mean 'toy'"),
        ({"settings": {"widht": "3"}}, UnknownNameError, "did you mean 'width'"),
        ({"settings": {"lr": "fast"}}, MilBenchError, "lr='fast' is not valid"),
        ({"folds": [7]}, SplitError, "fold 7 does not exist"),
        ({"seeds": [-1]}, UsageError, "seed -1 is negative"),
        ({"device": "cuda:99"}, UsageError, "device 'cuda:99' is not on this machine"),
        ({"device": "tpu"}, UsageError, "device 'tpu' is not on this machine"),
        ({"precision": "16"}, UsageError, "precision 16 requires a CUDA device"),
    ],
)
def test_a_wrong_request_is_one_sentence_and_makes_nothing(tmp_path, change, error, message):
    with pytest.raises(error, match=message):
        run(request(tmp_path, **change))
    assert not files(tmp_path, "*")


def leaky_split(folder) -> Path:
    """Patient p0 (slides s00, s01) stands in train and test."""
    names = dict.fromkeys(toy_grid.toy_dataset().manifest.slide_ids, "train")
    names |= {f"s{i:02d}": "val" for i in range(16, 32)}
    names |= {f"s{i:02d}": "test" for i in range(32, 48)} | {"s01": "test"}
    path = folder / "leaky.csv"
    pd.DataFrame({"slide_id": names.keys(), "fold_0": names.values()}).to_csv(path, index=False)
    return path


def test_a_leaking_split_is_refused_and_runs_marked_when_allowed(tmp_path):
    split = str(leaky_split(tmp_path))
    with pytest.raises(SplitError, match=r"leaks.*p0"):
        run(request(tmp_path / "runs", split=split))
    outcome, said = run(request(tmp_path / "runs", split=split, allow_leaks=True))
    assert counts(outcome) == (1, 0, 0)
    notes = run_directories(tmp_path / "runs")[0].read_result()["split_notes"]
    assert notes[0]["kind"] == "leak"
    assert "of the test slides share a patient with train" in notes[0]["text"]
    assert notes[0]["text"] in said


def test_workers_take_the_gpus_in_turn(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [str(d) for d in devices("auto", 3)] == ["cuda:0", "cuda:1", "cuda:0"]
    assert [str(d) for d in devices("cuda:1", 2)] == ["cuda:1", "cuda:1"]
    assert [str(d) for d in devices("cpu", 2)] == ["cpu", "cpu"]
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert [str(d) for d in devices("auto", 1)] == ["cpu"]


PEAKS = """
import numpy as np
import torch
from mil_bench.runs.environment import peak_memory_mb, reset_peak_memory

cpu = torch.device("cpu")
reset_peak_memory(cpu)
low = peak_memory_mb(cpu)
block = np.ones(64 * 2**20, dtype=np.uint8)
held = peak_memory_mb(cpu) - low
del block
gone = peak_memory_mb(cpu) - low
reset_peak_memory(cpu)
print(held, gone, peak_memory_mb(cpu) - low)
"""


def test_peak_memory_is_that_of_the_run_and_in_mebibytes():
    """In a process of its own: this one may hold freed memory that a block would fit in."""
    done = subprocess.run([sys.executable, "-c", PEAKS], capture_output=True, text=True, check=True)
    held, gone, next_run = map(float, done.stdout.split())
    assert 60 < held < 200
    assert gone > 60  # a peak stays when it is over
    assert next_run < 30


def test_the_plugin_is_the_module_of_these_tests():
    assert Path(toy_grid.__file__).resolve() == PLUGIN
    assert execute.METHODS.get("plain") is toy_grid.Plain
