import numpy as np
import pytest
import torch

from mil_bench.bags import placement
from mil_bench.bags.placement import choose_placement
from mil_bench.base.errors import RunError, UsageError
from mil_bench.contract.store import BagStore

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)
ROWS, DIM = 100, 10
NEED = ROWS * DIM * 4  # bytes as float32; half of it as bfloat16


def store(dtype):
    """100 rows of bags in a file of 150 rows."""
    features = np.zeros((150, DIM), dtype)
    return BagStore("e", features, None, {"a": (20, 60), "b": (100, 40)}, "")


@pytest.fixture
def machine(monkeypatch):
    """Sets what is free: ``machine(ram=..., gpu=...)``."""

    def free(ram=0, gpu=0):
        monkeypatch.setattr(placement, "available_memory", lambda: ram)
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (gpu, 10**12))

    return free


def test_auto_on_a_cpu_keeps_in_ram_what_would_be_converted_in_every_epoch(machine):
    machine(ram=10 * NEED)
    assert choose_placement("auto", store(np.float32), torch.float32, [CPU]) == "none"
    assert choose_placement("auto", store(np.float16), torch.float32, [CPU]) == "ram"
    assert choose_placement("auto", store(np.float32), torch.bfloat16, [CPU]) == "ram"
    assert (
        choose_placement("auto", store(np.float32), torch.float32, [CPU], standardize=True) == "ram"
    )


@pytest.mark.parametrize("processes", [1, 3])
def test_auto_takes_half_of_the_available_memory_at_most_for_all_processes(machine, processes):
    places = [CPU] * processes
    machine(ram=2 * NEED * processes)
    assert choose_placement("auto", store(np.float16), torch.float32, places) == "ram"
    machine(ram=2 * NEED * processes - 2)
    assert choose_placement("auto", store(np.float16), torch.float32, places) == "none"
    assert choose_placement("auto", store(np.float16), torch.bfloat16, places) == "ram"


@pytest.mark.parametrize("processes", [1, 2])
def test_auto_prefers_the_gpu_while_the_features_of_all_its_processes_fit(machine, processes):
    places = [GPU] * processes
    machine(ram=10**9, gpu=processes * NEED * 5 // 2)
    assert choose_placement("auto", store(np.float32), torch.float32, places) == "gpu"
    machine(ram=10**9, gpu=processes * NEED * 5 // 2 - 10)
    assert choose_placement("auto", store(np.float32), torch.float32, places) == "none"
    assert choose_placement("auto", store(np.float16), torch.float32, places) == "ram"


def test_none_asks_for_nothing(machine):
    machine()
    assert choose_placement("none", store(np.float16), torch.float32, [CPU, CPU]) == "none"


def test_ram_that_does_not_fit_is_refused_with_both_numbers(machine):
    machine(ram=2 * NEED)
    assert choose_placement("ram", store(np.float32), torch.float32, [CPU, CPU]) == "ram"
    machine(ram=2 * NEED - 2)
    with pytest.raises(RunError, match=r"ram requires 0\.0 GB .*0\.0 GB of memory .*--jobs"):
        choose_placement("ram", store(np.float32), torch.float32, [CPU, CPU])


def test_a_gpu_that_is_not_there_or_too_small_is_refused(machine):
    machine(gpu=NEED)
    with pytest.raises(UsageError, match="--placement gpu requires a CUDA device"):
        choose_placement("gpu", store(np.float32), torch.float32, [CPU])
    assert choose_placement("gpu", store(np.float32), torch.float32, [GPU]) == "gpu"
    with pytest.raises(RunError, match=r"of the GPU are free\); use --\w+ none or auto"):
        choose_placement("gpu", store(np.float32), torch.float32, [GPU, GPU])
