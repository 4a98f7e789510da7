import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from run_requests import PLUGIN

from mil_bench.runs.directory import RunDirectory, run_directories

TESTS = Path(__file__).resolve().parents[1]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"}


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Folder of the runs and, by place of death, what was left and the two exit codes."""
    folder = tmp_path_factory.mktemp("killed")
    program = [sys.executable, str(TESTS / "killed_runs.py"), str(folder)]
    done = subprocess.run(program, capture_output=True, text=True, check=True, env=ENVIRONMENT)
    return folder, {name: rest for name, *rest in json.loads(done.stdout.splitlines()[-1])}


def only_run(folder) -> RunDirectory:
    (directory,) = run_directories(folder)
    return directory


def test_a_run_killed_at_any_moment_and_restarted_predicts_the_same_to_the_last_bit(killed):
    folder, report = killed
    expected = only_run(folder / "never").predictions.read_bytes()
    assert len(report) == 13
    for name, (_, first, second) in report.items():
        if name != "never":
            assert first == -signal.SIGKILL, name
        assert second == 0, name
        assert only_run(folder / name).predictions.read_bytes() == expected, name


def test_a_restarted_run_logs_every_epoch_once_with_the_same_values(killed):
    folder, report = killed
    clock = ["seconds", "wait_seconds", "bags_per_second"]
    logs = {n: pd.read_csv(only_run(folder / n).path / "train.csv") for n in report}
    for name, log in logs.items():
        pd.testing.assert_frame_equal(log.drop(columns=clock), logs["never"].drop(columns=clock))
        assert log["epoch"].tolist() == [1, 2, 3, 4], name


def test_the_result_of_a_killed_run_differs_only_in_clock_and_memory(killed):
    folder, report = killed
    clock = {"train_seconds", "wait_seconds", "test_seconds", "peak_memory_mb", "finished"}
    results = {n: only_run(folder / n).read_result() for n in report}
    for result in results.values():
        kept = {k: v for k, v in result.items() if k not in clock}
        assert kept == {k: v for k, v in results["never"].items() if k not in clock}


def test_no_run_counts_as_done_before_its_last_file(killed):
    _, report = killed
    for name, (left, _, _) in report.items():
        assert "result.json" not in left, name
    left = report["result.json-1"][0]
    assert {"checkpoint.pt", "predictions.csv", "train.csv", "spec.json", "env.json"} <= set(left)


def start(runs, *more):
    command = [sys.executable, "-m", "mil_bench", "run", "--plugin", str(PLUGIN)]
    command += ["--dataset", "toy", "--runs", str(runs), "--device", "cpu", *more]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=listen,
    )


def listen():
    """Hear Ctrl-C, which a shell makes its background jobs ignore, and those of pytest with it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_for_epochs(process, runs, epochs):
    """Until some run of the grid has finished this many epochs."""
    while not any(len(p.read_text().splitlines()) > epochs for p in runs.glob("toy/*/*/train.csv")):
        assert process.poll() is None
        time.sleep(0.05)


@pytest.mark.slow
def test_a_parallel_grid_survives_ctrl_c_and_kill_and_leaves_no_orphans(killed, tmp_path):
    grid = ("--method", "sleepy", "--fold", "0,1", "--jobs", "2")
    first = start(tmp_path, *grid)
    wait_for_epochs(first, tmp_path, 1)
    first.send_signal(signal.SIGINT)
    said, _ = first.communicate()
    assert first.returncode == 130
    assert "Traceback" not in said
    assert "interrupted; rerun the same command to resume" in said
    assert {d.status() for d in run_directories(tmp_path)} == {"interrupted"}

    second = start(tmp_path, *grid)
    wait_for_epochs(second, tmp_path, 2)
    second.kill()
    second.wait()
    deadline = time.monotonic() + 300
    while any(d.status() == "running" for d in run_directories(tmp_path)):
        assert time.monotonic() < deadline, "a worker outlived its parent"
        time.sleep(0.05)

    third = start(tmp_path, *grid)
    said, _ = third.communicate()
    assert third.returncode == 0, said
    fold_0 = next(d for d in run_directories(tmp_path) if d.read_spec().fold == 0)
    undisturbed = only_run(killed[0] / "never")
    assert fold_0.predictions.read_bytes() == undisturbed.predictions.read_bytes()


@pytest.mark.slow
def test_a_killed_worker_is_a_failed_run_and_another_worker_takes_its_place(tmp_path):
    grid = ("--method", "dying,plain,tiny", "--fold", "0", "--jobs", "2", "--placement", "ram")
    process = start(tmp_path, *grid)
    said, _ = process.communicate()
    assert process.returncode == 1
    status = [(d.path.parent.name, d.status()) for d in run_directories(tmp_path)]
    assert status == [("dying", "failed"), ("plain", "done"), ("tiny", "done")]
    kept = [d.read_result()["cache"] for d in run_directories(tmp_path) if d.status() == "done"]
    assert kept == ["ram", "ram"]
    assert "killed by SIGKILL" in said
    assert "2 done, 0 done before, 1 failed" in said
    assert "Traceback" not in said
