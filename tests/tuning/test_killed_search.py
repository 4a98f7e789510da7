import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from run_requests import PLUGIN

from mil_bench.runs.directory import RunDirectory
from mil_bench.tuning.trial_queue import last_attempts

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"}


def start(runs, jobs):
    command = [sys.executable, "-m", "mil_bench", "tune", "--plugin", str(PLUGIN)]
    command += ["--method", "sleepy", "--dataset", "toy", "--fold", "0", "--search-seed", "0,1"]
    command += ["--set", "epochs=1", "--only", "lr,width", "--search", "width=2:9"]
    command += ["--sampler", "random", "--trials", "6", "--jobs", jobs, "--no-refit"]
    return subprocess.Popen(
        [*command, "--runs", str(runs), "--device", "cpu"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT,
    )  # fmt: skip


def workers(process):
    """Process ids of the workers of a command."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]


def done(runs):
    """Finished runs of trials and when they were finished."""
    files = runs.glob(".search/toy/sleepy/*/result.json")
    return {path: path.stat().st_mtime_ns for path in files}


def wait_for(process, runs, count):
    while len(done(runs)) < count:
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)


def in_first_epoch(runs):
    """Whether a run of a trial is being made and far from its end."""
    begun = [p.parent for p in runs.glob(".search/toy/sleepy/*/spec.json")]
    fresh = [folder for folder in begun if not (folder / "train.csv").exists()]
    return any(RunDirectory(folder).status() == "running" for folder in fresh)


def study_of(runs):
    url = f"sqlite:///{runs}/.search/tuning.db"
    (name,) = optuna.get_all_study_names(url)
    return optuna.load_study(study_name=name, storage=url)


@pytest.mark.slow
def test_a_search_whose_worker_and_then_itself_are_killed_ends_with_exactly_its_trials(tmp_path):
    process = start(tmp_path, "2")
    wait_for(process, tmp_path, 1)
    os.kill(workers(process)[0], signal.SIGKILL)
    wait_for(process, tmp_path, 4)
    while not in_first_epoch(tmp_path):  # so that a trial is half made
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()  # its workers go with it
    said, _ = process.communicate()
    assert "a worker process was killed by SIGKILL; its trial returns to the queue" in said
    before, trials = done(tmp_path), study_of(tmp_path).trials
    assert any(t.state == TrialState.RUNNING for t in trials)

    again = start(tmp_path, "1")
    said, _ = again.communicate()
    assert again.returncode == 0, said
    assert "Traceback" not in said
    study = study_of(tmp_path)
    assert [t.state for t in last_attempts(study)] == [TrialState.COMPLETE] * 6
    after = done(tmp_path)
    assert {path: after[path] for path in before} == before  # nothing was trained twice
    assert len(after) == 12
    roots = {t.system_attrs.get("failed_trial", t.number): t.params for t in last_attempts(study)}
    for trial in trials:  # a trial that was under way is made with the settings it had
        root = trial.system_attrs.get("failed_trial", trial.number)
        assert trial.params.items() <= roots[root].items()
