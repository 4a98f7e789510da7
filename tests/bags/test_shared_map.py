"""Several processes that read the packed file hold one copy of it."""

import platform
import subprocess
import sys

import numpy as np
import pytest

SIZE = 8 * 2**20
CHILD = """
import sys
from pathlib import Path
import numpy as np, torch
from mil_bench.bags.device import DeviceBags
from mil_bench.contract.store import BagStore

features = np.load(sys.argv[1], mmap_mode="r")
store = BagStore("e", features, None, {"s": (0, len(features))}, "")
DeviceBags(store, torch.device("cpu")).batch(["s"]).features.sum()
_, _, mapping = Path("/proc/self/smaps").read_text().partition(sys.argv[1])
size = lambda name: int(mapping.partition(name + ":")[2].split()[0]) * 1024
print(size("Shared_Clean") + size("Shared_Dirty"), size("Private_Clean") + size("Private_Dirty"))
"""


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc")
def test_the_pages_of_the_packed_file_are_shared_between_processes(tmp_path):
    path = tmp_path / "features.npy"
    np.save(path, np.ones((SIZE // 4096, 1024), dtype=np.float32))
    mine = np.load(path, mmap_mode="r")
    assert mine.sum() == SIZE // 4  # every page of it is here
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, check=True
    )
    shared, private = map(int, done.stdout.split())
    assert shared >= SIZE
    assert private == 0
