import io
import random

import numpy as np
import torch
from rich.console import Console
from run_specs import SPEC

from mil_bench.base import console as base_console
from mil_bench.training.checkpoint import make_deterministic, seed_everything, write_train_log
from mil_bench.training.progress import ConsoleReporter

TITLES = {SPEC.key: "mean on toy [dims=a, b]"}
ROW = {"loss": 0.5, "val_log_loss": 0.25, "bags_per_second": 80.0}


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item(), torch.randn(2).tolist()


def test_python_numpy_and_torch_repeat_for_the_same_seed_and_epoch_only():
    results = []
    for seed, epoch in [(1, 2), (1, 2), (1, 3), (2, 2), (2, 1)]:
        seed_everything(seed, epoch)
        results.append(draws())
    assert results[0] == results[1]
    assert len({str(r) for r in results}) == 4


def test_deterministic_kernels_are_on():
    make_deterministic(torch.device("cpu"))
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


def test_a_pipe_gets_plain_lines_and_not_one_per_epoch(monkeypatch):
    text = io.StringIO()
    reporter = ConsoleReporter(Console(file=text, force_terminal=False), TITLES)
    clock = iter([0.0, 3.0, 11.0, 11.0, 12.0])
    monkeypatch.setattr(base_console.time, "monotonic", lambda: next(clock))
    reporter.begin(SPEC, 5)
    for epoch in (6, 7, 8):
        reporter.epoch(epoch, ROW)
    reporter.end()
    assert text.getvalue().splitlines() == [
        "mean on toy [dims=a, b]: resumes after epoch 5",
        f"mean on toy [dims=a, b]: epoch 7/{SPEC.trainer.epochs} loss 0.500, "
        "val log loss 0.250, 80 bags/s",
    ]


def test_a_terminal_gets_a_bar_with_speed():
    text = io.StringIO()
    reporter = ConsoleReporter(Console(file=text, force_terminal=True, width=120), TITLES)
    reporter.begin(SPEC, 5)
    reporter.epoch(6, ROW)
    reporter.end()
    assert "mean on toy [dims=a, b]" in text.getvalue()
    assert f"6/{SPEC.trainer.epochs}" in text.getvalue()
    assert "80 bags/s" in text.getvalue()


def test_a_term_that_an_epoch_lacks_is_an_empty_cell(tmp_path):
    path = tmp_path / "train.csv"
    write_train_log(path, [{"epoch": 1, "a": 0.5}, {"epoch": 2, "b": 1.5}])
    assert path.read_text().splitlines() == ["epoch,a,b", "1,0.5,", "2,,1.5"]
