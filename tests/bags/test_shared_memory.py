"""What N processes of a machine hold together: one packed file, or a copy each when asked."""

import multiprocessing
import platform
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_writers import write_npy

from mil_bench.bags.cache.pack import open_store
from mil_bench.bags.device import DeviceBags

FORK = multiprocessing.get_context("fork")
PROCESSES, SLIDES, BAG = 3, [f"s{i}" for i in range(8)], (1024, 1024)
PACKED = len(SLIDES) * BAG[0] * BAG[1] * 4  # bytes: 32 MiB


def proportional_bytes():
    """Pss of this process: its own pages, and its share of those it holds with others."""
    _, _, after = Path("/proc/self/smaps_rollup").read_text().partition("\nPss:")
    return int(after.split()[0]) * 1024


def hold(root, cache, home, everyone, results):
    """Read every bag as training does; all processes hold theirs while they are measured."""
    torch.set_num_threads(1)
    everyone.wait()
    before = proportional_bytes()
    everyone.wait()
    bags = DeviceBags(open_store(root, SLIDES, cache=cache)[0], torch.device("cpu"), placement=home)
    for slide in SLIDES:
        bags.batch([slide]).features.sum()
    everyone.wait()
    results.put(proportional_bytes() - before)
    everyone.wait()


def held_together(root, cache, home):
    everyone, results = FORK.Barrier(PROCESSES, timeout=300), FORK.SimpleQueue()
    arguments = (root, cache, home, everyone, results)
    processes = [FORK.Process(target=hold, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    return sum(results.get() for _ in processes)


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
def test_processes_hold_one_copy_of_the_packed_features_together(tmp_path):
    rng = np.random.default_rng(0)
    for slide in SLIDES:
        write_npy(tmp_path / "features" / f"{slide}.npy", rng.random(BAG, dtype=np.float32))
    root, cache = tmp_path / "features", tmp_path / "cache"
    open_store(root, SLIDES, cache=cache)
    shared, copies = (held_together(root, cache, home) for home in ("none", "ram"))
    print(f"Pss of {PROCESSES} processes: {shared / PACKED:.2f} and {copies / PACKED:.2f} copies")
    assert shared < 2 * PACKED  # with what else reading takes
    assert copies > PROCESSES * PACKED
