import mmap

import numpy as np
import pytest
import torch

from mil_bench.bags.device import DeviceBags, read_ahead
from mil_bench.bags.loader import EvaluationLoader, TrainLoader
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.store import BagStore

CPU = torch.device("cpu")
TREE = Taxonomy.from_tree("t", {"low": ["a", "b"], "high": ["c"]})
DIM, HEADER = 300, 128  # 1200 bytes a row: rows lie across pages
BAG = 10 * 4 * DIM  # bytes


class Recording(mmap.mmap):
    """A map that writes down what it is asked to read."""

    asked: list[tuple[int, int]]

    def madvise(self, option, start, length):
        assert option == mmap.MADV_WILLNEED
        super().madvise(option, start, length)
        self.asked.append((start, length))


@pytest.fixture
def packed(tmp_path):
    """A store of four bags of 10 rows over a recording map, and the map."""
    rows = np.random.default_rng(0).normal(size=(40, DIM)).astype(np.float32)
    np.save(tmp_path / "features.npy", rows)
    with (tmp_path / "features.npy").open("rb") as file:
        source = Recording(file.fileno(), 0, access=mmap.ACCESS_READ)
    source.asked = []
    features = np.ndarray(rows.shape, np.float32, buffer=source, offset=HEADER)
    np.testing.assert_array_equal(features, rows)
    return BagStore("e", features, None, {f"s{i}": (10 * i, 10) for i in range(4)}, ""), source


def bags_asked(source):
    """The bags that lie wholly in each range asked for, and in no more than a page around it."""
    found = []
    for start, length in source.asked:
        assert start % mmap.PAGESIZE == 0
        bag = -((HEADER - start) // BAG)  # rounded up: the page begins before the bag
        first, end = HEADER + bag * BAG, HEADER + (bag + 1) * BAG
        assert start <= first < start + mmap.PAGESIZE
        assert start + length == end
        found.append(f"s{bag}")
    return found


def test_exactly_the_pages_of_the_rows_are_asked_for(packed):
    store, source = packed
    for bag in (2, 0, 3):
        read_ahead(store.features, *store.rows[f"s{bag}"])
    assert bags_asked(source) == ["s2", "s0", "s3"]


def test_the_map_that_the_cache_opens_is_recognised(tmp_path, packed):
    mapped = np.load(tmp_path / "features.npy", mmap_mode="r")
    assert isinstance(mapped.base, mmap.mmap)
    read_ahead(mapped, 0, 40)


def test_arrays_in_memory_are_left_alone():
    read_ahead(np.ones((4, 3), np.float32), 0, 4)
    read_ahead(np.ones((4, 3), np.float32)[1:], 0, 3)


def test_every_bag_is_announced_while_its_predecessor_is_in_use(packed, monkeypatch):
    store, source = packed
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    bags = DeviceBags(store, CPU)
    loader = TrainLoader(bags, list(store.rows), np.zeros(4, np.int64), TREE, batch_size=1, seed=0)
    order = [f"s{i}" for i in loader.order(1)]
    for place, batch in enumerate(loader.epoch(1)):
        assert batch.slide_ids == (order[place],)
        assert bags_asked(source) == order[1 : place + 2]
    source.asked.clear()
    list(EvaluationLoader(bags, ["s3", "s1"]))  # one batch: nothing is ahead of it
    assert source.asked == []


def test_bags_kept_in_memory_are_not_announced(packed):
    store, source = packed
    bags = DeviceBags(store, CPU, placement="ram")
    bags.batch(["s1"])
    bags.announce(["s1", "s2"])
    assert bags_asked(source) == ["s2"]
