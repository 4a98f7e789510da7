"""Slurm through submitit: its local executor, and a faked ``sbatch`` with real processes."""

import io
import os
import threading
import time

import fake_slurm
import pandas as pd
import pytest
from rich.console import Console
from run_requests import PLUGIN, request, run_grid

from mil_bench.base.errors import RunError, UsageError
from mil_bench.runs.directory import RunDirectory, run_directories

submitit = pytest.importorskip("submitit", reason="needs the extra [slurm]")
from mil_bench.runs.executors import on_slurm  # noqa: E402


def run(runs, **changes):
    changes = {"plugins": (PLUGIN,), **changes}
    ask = request(runs, **{"executor": "slurm", "precision": "32", "jobs": 2, **changes})
    return run_grid(*ask, Console(file=io.StringIO()))


def run_locally(runs, **changes):
    return run(runs, **{**changes, "executor": "local", "jobs": 1})


def predictions(runs):
    done = [d for d in run_directories(runs) if d.status() == "done"]
    return {(d.path.parent.name, d.path.name): d.predictions.read_bytes() for d in done}


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A folder with Slurm's commands, found before any real ones."""
    folder = tmp_path / "cluster"
    fake_slurm.install(folder)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setattr(submitit.SlurmJob.watcher, "_delay_s", 0.5)
    monkeypatch.setattr(submitit.SlurmJob, "_results_timeout_s", 0)
    monkeypatch.setattr(on_slurm, "LOOK_SECONDS", 0.1)
    yield folder
    submitit.SlurmJob.watcher.clear()


def preempt_in_epoch_two(cluster, runs):
    """In a thread: when the sleepy run, which is the first job, has an epoch behind it."""

    def wait_and_strike():
        deadline = time.monotonic() + 300
        while not any(len(p.read_text().split()) > 1 for p in runs.glob("toy/sleepy/*/train.csv")):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        fake_slurm.preempt(cluster, "70_0")

    thread = threading.Thread(target=wait_and_strike)
    thread.start()
    return thread


@pytest.mark.slow
def test_an_array_with_a_preempted_a_failing_and_a_killed_job_makes_what_local_makes(
    cluster, tmp_path
):
    runs = tmp_path / "slurm"
    striking = preempt_in_epoch_two(cluster, runs)
    outcome = run(runs, methods=["sleepy", "broken", "dying", "plain"])
    striking.join()
    assert (cluster / "70_0.requeued").exists()
    assert sorted(o.spec.method for o in outcome.done) == ["plain", "sleepy"]
    failed = {o.spec.method: o.sentence for o in outcome.failed}
    assert failed["broken"].startswith("ValueError: no loss today (toy_grid.py, line ")
    assert "Slurm job 70_2 ended without a result (state OUT_OF_MEMORY)" in failed["dying"]
    assert {d.status() for d in run_directories(runs)} == {"done", "failed"}
    sleepy = next(o.spec for o in outcome.done if o.spec.method == "sleepy")
    log = pd.read_csv(RunDirectory.of(runs, sleepy).path / "train.csv")
    assert log["epoch"].tolist() == [1, 2, 3, 4]

    run_locally(tmp_path / "local", methods=["sleepy", "plain"])
    assert predictions(runs) == predictions(tmp_path / "local")


def test_the_script_asks_for_what_a_run_needs_and_for_what_the_user_adds(cluster, tmp_path):
    _, machine = request(
        tmp_path,
        executor="slurm",
        device="cuda",
        threads=3,
        memory=8.0,
        jobs=5,
        slurm=(("partition", "gpu"), ("time", "30")),
    )
    queue = on_slurm.open_queue(machine)
    script = queue._make_submission_file_text("command", "id")
    asked = {line.partition("--")[2] for line in script.splitlines() if "#SBATCH" in line}
    assert {
        "cpus-per-task=3",
        "gpus-per-node=1",
        "mem=8GB",
        "partition=gpu",
        "time=30",
        "signal=USR2@90",
    } <= asked
    assert queue.parameters["array_parallelism"] == 5


@pytest.mark.slow
def test_submitits_local_executor_makes_the_same_runs(tmp_path, monkeypatch):
    monkeypatch.setattr(
        on_slurm, "open_queue", lambda machine: submitit.LocalExecutor(machine.runs / ".slurm")
    )
    outcome = run(tmp_path / "slurm", methods=["plain", "tiny"])
    assert len(outcome.done) == 2
    run_locally(tmp_path / "local", methods=["plain", "tiny"])
    assert predictions(tmp_path / "slurm") == predictions(tmp_path / "local")


def test_what_sbatch_refuses_is_one_sentence_with_its_reason(cluster, tmp_path):
    with pytest.raises(RunError, match=r"sbatch refused the jobs \(.*invalid partition.*nowhere"):
        run(tmp_path, slurm=(("partition", "nowhere"),))
    assert not run_directories(tmp_path)


@pytest.mark.parametrize(
    ("path", "slurm", "sentence"),
    [
        ("", (), "this machine has no srun"),
        (None, (("time", "1-00:00"),), "--slurm time=1-00:00 is not a whole number of minutes"),
    ],
)
def test_a_machine_without_slurm_and_a_wrong_time_are_one_sentence(
    tmp_path, monkeypatch, path, slurm, sentence
):
    if path is not None:
        monkeypatch.setenv("PATH", path)
    with pytest.raises(UsageError, match=sentence):
        run(tmp_path, slurm=slurm)
