"""The cache follows its sources, survives crashes and crowds, and names what a disk lacks."""

import errno
import json
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
from feature_writers import random_bags, write_npy

from mil_bench.bags.cache.pack import open_store
from mil_bench.bags.cache.writer import GrowingArray
from mil_bench.bags.formats.folder import discover
from mil_bench.bags.formats.reader import BagSource
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import FeatureError

X = random_bags({"s1": 30, "s2": 50, "s3": 10})
SLIDES = sorted(X)
FORK = multiprocessing.get_context("fork")


@pytest.fixture
def root(tmp_path):
    for slide, x in X.items():
        write_npy(tmp_path / "f" / f"{slide}.npy", x)
    return tmp_path / "f"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


def opened(root, cache, slides=SLIDES):
    return open_store(root, slides, cache=cache)[0]


def place(cache):
    (index,) = cache.glob("*/index.json")
    return index.parent


def assert_whole(store, bags=X):
    assert store.digest == store_of_arrays("e", bags).digest
    for slide, x in bags.items():
        np.testing.assert_array_equal(store.bag(slide), x)


def counted_reads(monkeypatch):
    names, read = [], BagSource.read

    def count(self):
        names.append(self.paths[0].stem)
        return read(self)

    monkeypatch.setattr(BagSource, "read", count)
    return names


def test_a_changed_source_is_read_again_with_a_message(root, cache, monkeypatch, capsys):
    old = opened(root, cache)
    write_npy(root / "s2.npy", X["s2"][:7])
    reads = counted_reads(monkeypatch)
    assert_whole(opened(root, cache), {**X, "s2": X["s2"][:7]})
    assert reads == ["s2"]
    assert "is rebuilt: 1 of 3 feature files have changed." in capsys.readouterr().err
    np.testing.assert_array_equal(old.bag("s2"), X["s2"])  # an open store is not pulled away


def test_a_touched_source_is_read_again_but_the_digest_stays(root, cache, monkeypatch):
    before = opened(root, cache).digest
    os.utime(root / "s1.npy", ns=(1, 1))
    reads = counted_reads(monkeypatch)
    assert opened(root, cache).digest == before
    assert reads == ["s1"]


def test_added_slides_are_packed_and_the_others_copied(root, cache, monkeypatch, capsys):
    opened(root, cache, ["s1"])
    assert "rebuilt" not in capsys.readouterr().err
    reads = counted_reads(monkeypatch)
    opened(root, cache, ["s2", "s3"])
    assert "2 of 2 slides are missing from it." in capsys.readouterr().err
    assert_whole(opened(root, cache))
    assert reads == ["s2", "s3"]


def test_a_cache_of_other_features_under_the_same_path_is_not_used(root, cache):
    opened(root, cache)
    other = random_bags({"s1": 30, "s2": 50}, dim=3, seed=1)
    for slide, x in other.items():
        write_npy(root / f"{slide}.npy", x)
    assert_whole(opened(root, cache, ["s1", "s2"]), other)


def test_float16_is_kept_until_the_first_float32_bag_widens_it(root, cache):
    half = {slide: x.astype("float16") for slide, x in X.items()}
    for slide, x in half.items():
        write_npy(root / f"{slide}.npy", x)
    store = opened(root, cache)
    assert store.features.dtype == np.float16
    assert_whole(store, half)
    mixed = {**half, "s2": X["s2"]}
    write_npy(root / "s2.npy", X["s2"])
    store = opened(root, cache)
    assert store.features.dtype == np.float32
    assert_whole(store, mixed)


def test_a_cache_beside_the_features_is_not_taken_for_features(root):
    assert_whole(opened(root, root / "cache"))
    assert_whole(opened(root, root / "cache"))
    assert [s.encoder for s in discover(root)] == ["unknown"]


@pytest.mark.parametrize("name", ["index.json", "features.npy", "coords.npy"])
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "garbage"])
def test_a_damaged_cache_is_rebuilt_with_a_message(root, cache, capsys, name, damage):
    opened(root, cache)
    path = place(cache) / name
    whole = path.read_bytes()
    path.unlink()
    if damage != "gone":
        content = {"empty": b"", "half": whole[: len(whole) // 2], "garbage": b"\x93[]" * 50}
        path.write_bytes(content[damage])
    assert_whole(opened(root, cache))
    assert "is rebuilt: " in capsys.readouterr().err


def test_a_cache_of_another_version_is_packed_anew_and_not_called_damaged(root, cache, capsys):
    opened(root, cache)
    path = place(cache) / "index.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 1}))
    assert_whole(opened(root, cache))
    said = capsys.readouterr().err
    assert "written by another version of mil-bench" in said
    assert "damaged" not in said


def test_bags_damaged_in_the_cache_are_not_copied_into_the_next(root, cache):
    opened(root, cache)
    path = place(cache) / "features.npy"
    damaged = np.load(path, mmap_mode="r+")
    damaged[5] += 1
    damaged.flush()
    os.utime(root / "s3.npy", ns=(1, 1))
    assert_whole(opened(root, cache))


def in_child(function, *arguments):
    child = FORK.Process(target=function, args=arguments)
    child.start()
    return child


def test_a_process_killed_while_packing_leaves_no_half_cache(root, cache, monkeypatch):
    read = BagSource.read

    def die_at_the_second(self):
        if self.paths[0].stem == "s2":
            os.kill(os.getpid(), signal.SIGKILL)
        return read(self)

    monkeypatch.setattr(BagSource, "read", die_at_the_second)
    child = in_child(opened, root, cache)
    child.join()
    monkeypatch.undo()
    assert child.exitcode == -signal.SIGKILL
    assert list(cache.glob("*.tmp-*"))
    assert not list(cache.glob("*/index.json"))
    assert_whole(opened(root, cache))
    assert not list(cache.glob("*.tmp-*"))


def test_an_interrupted_rebuild_leaves_the_old_cache(root, cache, monkeypatch):
    opened(root, cache, ["s1", "s2"])
    monkeypatch.setattr(BagSource, "read", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        opened(root, cache)
    assert not list(cache.glob("*.tmp-*"))
    assert_whole(opened(root, cache, ["s1", "s2"]), {s: X[s] for s in ("s1", "s2")})


def test_of_two_processes_one_packs_and_the_other_waits(root, cache, tmp_path, monkeypatch, capfd):
    read, log = BagSource.read, tmp_path / "reads"

    def slow(self):
        with log.open("a") as file:
            file.write(f"{self.paths[0].stem}\n")
        time.sleep(0.3)
        return read(self)

    monkeypatch.setattr(BagSource, "read", slow)
    children = [in_child(lambda: assert_whole(opened(root, cache))) for _ in range(2)]
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0]
    assert log.read_text().split() == SLIDES
    assert "another process is packing" in capfd.readouterr().err


def test_a_full_disk_is_one_sentence_and_keeps_the_old_cache(root, cache, monkeypatch):
    opened(root, cache, ["s1"])

    def full(self, rows):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(GrowingArray, "append", full)
    with pytest.raises(FeatureError, match=r"disk of the cache .* is full .*MIL_BENCH_CACHE\.$"):
        opened(root, cache)
    assert not list(cache.glob("*.tmp-*"))
    assert_whole(opened(root, cache, ["s1"]), {"s1": X["s1"]})


def test_a_cache_folder_that_cannot_be_written_is_one_sentence(root, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FeatureError, match=r"the cache folder .* cannot be written .*--cache-dir"):
        opened(root, tmp_path / "file" / "cache")


def test_packing_reports_plain_lines_when_there_is_no_terminal(root, cache, capsys, monkeypatch):
    monkeypatch.setattr("mil_bench.base.console.SECONDS_BETWEEN_LINES", 0)
    opened(root, cache)
    lines = capsys.readouterr().err.splitlines()
    title = lines[0].partition(":")[0]
    assert title.startswith("packing ")
    assert lines == [f"{title}: bag {k}/{len(X)}" for k in range(1, len(X) + 1)]
