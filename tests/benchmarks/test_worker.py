import os
from collections import Counter
from functools import partial

import pytest

from benchmarks.memory import used_mb
from benchmarks.worker import Worker
from mil_bench.base.errors import RunError
from mil_bench.runs.environment import peak_memory_mb


def test_a_worker_keeps_its_object_in_another_process_with_its_own_threads():
    before = os.environ.get("OMP_NUM_THREADS")
    with Worker(partial(Counter, "aab"), threads=3) as worker:
        worker.call("update", "b")
        assert worker.call("most_common") == [("a", 2), ("b", 2)]
    with Worker(partial(partial, os.getenv, "OMP_NUM_THREADS"), threads=3) as worker:
        assert worker.call("__call__") == "3"
    assert os.environ.get("OMP_NUM_THREADS") == before


def test_an_error_in_a_worker_is_raised_here_in_one_sentence():
    with pytest.raises(RunError, match="ValueError: invalid literal"):
        Worker(partial(int, "x"), threads=1)


def test_a_worker_that_dies_is_an_error_that_names_the_exit_code():
    with (
        Worker(partial(partial, os._exit), threads=1) as worker,
        pytest.raises(RunError, match="exit code 7"),
    ):
        worker.call("__call__", 7)


def test_memory_is_counted_above_the_mark():
    import torch

    cpu = torch.device("cpu")
    mark = used_mb(cpu)
    big = torch.ones(50 * 2**18)  # 50 MiB
    assert peak_memory_mb(cpu) - mark >= 49
    del big
    assert used_mb(cpu) - mark < 25
