"""Ray on a real cluster of several nodes on this machine, one of which is killed at work."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console
from run_requests import PLUGIN, request, run_grid

from mil_bench.base.errors import RunError
from mil_bench.runs.directory import RunDirectory, run_directories

pytest.importorskip("ray", reason="needs the extra [ray]")
from ray.cluster_utils import Cluster

from mil_bench.runs.executors import on_ray

CPU_NODE = {"num_cpus": 1, "num_gpus": 0, "object_store_memory": 100 * 2**20}


@pytest.fixture(scope="module")
def cluster():
    """A head that makes no runs, and two nodes for one run each."""
    made = Cluster(True, head_node_args={**CPU_NODE, "num_cpus": 0, "include_dashboard": False})
    for _ in range(2):
        made.add_node(**CPU_NODE)
    yield made
    made.shutdown()


@pytest.fixture
def on_cluster(cluster, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    return cluster


def run(runs, **changes):
    changes = {"plugins": (PLUGIN,), **changes}
    ask = request(runs, **{"executor": "ray", "precision": "32", "jobs": 9, **changes})
    return run_grid(*ask, Console(file=io.StringIO()))


def predictions(runs):
    done = [d for d in run_directories(runs) if d.status() == "done"]
    return {(d.path.parent.name, d.path.name): d.predictions.read_bytes() for d in done}


@pytest.mark.slow
def test_one_job_two_jobs_and_ray_make_the_same_runs_and_failures_stop_no_other(
    on_cluster, tmp_path, monkeypatch
):
    monkeypatch.setattr(on_ray, "RETRIES", 0)
    methods = {"methods": ["broken", "dying", "plain", "tiny"], "folds": [0, 1]}
    outcome = run(tmp_path / "ray", **methods)
    assert len(outcome.done) == 4
    failed = {o.spec.method: o.sentence for o in outcome.failed}
    assert failed["broken"].startswith("ValueError: no loss today (toy_grid.py, line ")
    assert "the Ray worker died in each of 1 attempts (WorkerCrashedError)" in failed["dying"]
    assert [d.status() for d in run_directories(tmp_path / "ray")] == ["failed"] * 4 + ["done"] * 4
    for jobs in (1, 2):
        living = {**methods, "methods": ["plain", "tiny"]}
        run(tmp_path / str(jobs), executor="local", **{**living, "jobs": jobs})
        assert predictions(tmp_path / str(jobs)) == predictions(tmp_path / "ray")


def worker_of(directory):
    """The process that holds a run, or nothing: the name leaves the lock with its process."""
    return ((directory.path / ".lock").read_text().split() or ["", ""])[1]


def node_of(cluster, pid):
    """The node whose raylet is the parent of a worker process."""
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    (found,) = (
        node
        for node in cluster.worker_nodes
        if node.all_processes["raylet"][0].process.pid == parent
    )
    return found


def epochs(directory):
    log = directory.path / "train.csv"
    return len(pd.read_csv(log)) if log.exists() else 0


@pytest.mark.slow
def test_the_run_of_a_node_that_is_killed_goes_on_elsewhere_from_its_checkpoint(
    on_cluster, tmp_path
):
    words = f"run -m sleepy -d toy --plugin {PLUGIN} --fold 0,1 --runs {tmp_path / 'ray'}"
    words += " --executor ray --device cpu --precision 32"
    command = [sys.executable, "-m", "mil_bench", *words.split()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ.copy())
    deadline = time.monotonic() + 300
    while not (begun := [d for d in run_directories(tmp_path / "ray") if epochs(d) >= 2]):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    hit, worker = begun[0], worker_of(begun[0])
    node = node_of(on_cluster, worker)
    os.kill(int(worker), signal.SIGSTOP)  # a node that is lost takes its workers with it at once
    on_cluster.remove_node(node, allow_graceful=False)
    os.kill(int(worker), signal.SIGKILL)
    workers = set()
    while process.poll() is None:
        workers.add(worker_of(hit))
        time.sleep(0.02)
    said, _ = process.communicate()
    on_cluster.add_node(**CPU_NODE)
    assert process.returncode == 0, said
    assert "2 done, 0 done before, 0 failed" in said
    assert workers - {worker, ""}
    assert pd.read_csv(hit.path / "train.csv")["epoch"].tolist() == [1, 2, 3, 4]
    run(tmp_path / "local", executor="local", methods=["plain"], folds=[0, 1], jobs=1)
    assert sorted(predictions(tmp_path / "ray").values()) == sorted(
        predictions(tmp_path / "local").values()
    )


def test_a_cluster_without_room_for_a_run_is_one_sentence(on_cluster, tmp_path):
    with pytest.raises(RunError, match=r"requests 1 CPU, 1 GPU, and the largest .* 1 CPU, 0 GPU"):
        run(tmp_path, device="cuda")
    with pytest.raises(RunError, match=r"requests 1 CPU, 9999\.0 GB"):
        run(tmp_path, memory=9999)
    assert not run_directories(tmp_path)


@pytest.mark.slow
def test_a_node_that_promises_a_gpu_which_it_has_not_is_a_failed_run(on_cluster, tmp_path):
    node = on_cluster.add_node(**{**CPU_NODE, "num_gpus": 1})
    outcome = run(tmp_path, device="cuda")
    on_cluster.remove_node(node)
    (failed,) = outcome.failed
    assert "has no GPU, but --device cuda was requested" in failed.sentence
    assert RunDirectory.of(tmp_path, failed.spec).read_failure()["error"] == failed.sentence


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nowhere:port"])
def test_a_cluster_that_does_not_answer_is_one_sentence(tmp_path, monkeypatch, address):
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(RunError, match=f"no Ray cluster answers at {address}; start one with"):
        run(tmp_path)
    assert not run_directories(tmp_path)
