"""A wrong machine is one sentence before anything is loaded."""

import io

import pytest
from rich.console import Console
from run_requests import request, run_grid

from mil_bench.base.errors import UsageError
from mil_bench.runs import machine
from mil_bench.runs.executors.remote import RemoteContext
from mil_bench.runs.plan import plan


@pytest.mark.parametrize(("executor", "package"), [("ray", "ray"), ("slurm", "submitit")])
def test_an_executor_whose_package_is_missing_says_what_to_install(
    tmp_path, monkeypatch, executor, package
):
    monkeypatch.setattr(machine, "find_spec", lambda name: None if name == package else name)
    message = rf"requires the package {package}, which is not installed.*'mil-bench\[{executor}\]'"
    with pytest.raises(UsageError, match=message):
        run_grid(*request(tmp_path / "runs", executor=executor), Console(file=io.StringIO()))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("executor", ["ray", "slurm"])
def test_device_and_precision_of_other_machines_must_be_said(tmp_path, monkeypatch, executor):
    monkeypatch.setattr(machine, "find_spec", str)
    for changes, message in (
        ({"device": "auto"}, "--device auto cannot be resolved for .*; pass --device cpu"),
        ({"device": "cuda:1"}, "--device cuda:1 cannot be resolved"),
        ({"precision": "auto"}, "--precision auto cannot be resolved for .*; pass --precision 32"),
        ({"precision": "16"}, "precision 16 requires a CUDA device"),
    ):
        with pytest.raises(UsageError, match=message):
            plan(*request(tmp_path, executor=executor, **changes))


def test_runs_for_other_machines_have_the_keys_of_local_ones(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "find_spec", str)
    local, ray = (
        [
            t.spec.key
            for t in plan(*request(tmp_path, executor=name, precision="bf16", seeds=[0, 1]))
        ]
        for name in ("local", "ray")
    )
    assert local == ray


def test_a_worker_without_the_gpu_it_was_asked_for_leaves_a_failed_run(tmp_path, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (task,) = plan(*request(tmp_path))
    _, asked = request(tmp_path, executor="ray", device="cuda")
    outcome = RemoteContext.here(asked).make(task)
    assert outcome.status == "failed"
    assert "has no GPU, but --device cuda was requested" in outcome.sentence
