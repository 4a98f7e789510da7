"""What ``benchmarks.gpu`` does, on a CPU where operators stand for kernels."""

import sys

import pytest
import torch
from small_machine import small_machine

from benchmarks.command import run
from benchmarks.contestants import Entry
from benchmarks.gpu import __main__ as gpu_module
from benchmarks.gpu.cohort import repeated_cohort
from benchmarks.gpu.counting import count_kernels, count_waits
from benchmarks.gpu.table import print_gpu
from benchmarks.workloads import WORKLOADS

CPU = torch.device("cpu")
TINY = WORKLOADS["tiny"]


def test_outermost_operators_are_counted():
    x = torch.ones(3)
    assert count_kernels(lambda: (x + x) * x, CPU) == 2
    assert count_kernels(lambda: torch.nn.functional.linear(x, x[None]), CPU) == 2  # with a view
    assert count_waits(lambda: x.sum().item(), CPU) == 0


def test_a_repeated_cohort_has_the_sizes_of_its_workload_and_every_class():
    cohort = repeated_cohort(TINY, 21)
    sizes = sorted(n for _, n in cohort.store.rows.values())
    assert sizes == TINY.sizes(21).tolist()
    assert cohort.instances == sum(sizes) == len(cohort.store.features)
    assert set(cohort.leaf(cohort.train)) == set(range(7))


def test_everything_is_measured_for_one_method(monkeypatch, tmp_path, capsys):
    small_machine(monkeypatch)
    monkeypatch.setattr(gpu_module, "compiled_row", lambda *_: {"failed": "not tried"})
    entry = Entry("ours", "max", TINY, batch=4)
    row = gpu_module.everything(entry, 8, CPU, 2, (1, 2), tmp_path)
    assert [count["bags"] for count in row["counts"]] == [1, 2, 4]
    assert all(count["kernels"] > 10 and count["waits"] == 0 for count in row["counts"])
    assert len(row["seconds"]) == 2
    assert row["graph"]["failed"] == "there are no CUDA graphs on a CPU"
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".txt"}
    print_gpu([row])
    assert "tiny, max 32, 4 per step: kernels per step" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_without_a_gpu_it_says_so_and_exits_with_1(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["gpu"])
    with pytest.raises(SystemExit) as stopped:
        run(gpu_module.gpu)
    assert stopped.value.code == 1
    assert (
        "finds no CUDA device; run this on a machine with an NVIDIA GPU" in capsys.readouterr().err
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_everything_is_measured_on_a_gpu(tmp_path):
    entry = Entry("ours", "abmil", TINY, "bf16", batch=4)
    row = gpu_module.everything(entry, 8, torch.device("cuda"), 2, (1, 2), tmp_path)
    assert all(count["kernels"] > 0 for count in row["counts"])
