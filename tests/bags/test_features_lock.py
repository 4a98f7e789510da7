"""The lock of features: the same features again are recognised, others are not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mil_bench.bags import features_lock
from mil_bench.bags.features_lock import (
    TOLERANCE,
    FeaturesLock,
    lock_of,
    read_locks,
    save_lock,
)
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import DataError

SIZES = {"a": 5, "b": 40, "c": 1}


def bags(seed=0, dim=12, sizes=SIZES, dtype=np.float32):
    rng = np.random.default_rng(seed)
    return {s: (3 + 2 * rng.normal(size=(n, dim))).astype(dtype) for s, n in sizes.items()}


def lock(features):
    return lock_of(store_of_arrays("uni", features))


def changed(features, change):
    return {s: change(f).astype(f.dtype) for s, f in features.items()}


def test_the_numbers_are_those_of_numpy_whatever_the_size_of_the_steps(monkeypatch):
    features = bags()
    whole = lock(features)
    monkeypatch.setattr(features_lock, "_ROWS", 7)
    steps = lock(features)
    for slide, f in features.items():
        patches, mean, spread, *projections = whole.slides[slide]
        assert patches == len(f)
        assert mean == pytest.approx(f.mean(dtype=float), rel=1e-5)
        assert spread == pytest.approx(f.std(dtype=float), rel=1e-5)
        assert len(projections) == 16
        assert steps.slides[slide] == pytest.approx(whole.slides[slide], rel=1e-5)


def test_the_projections_are_the_same_on_every_machine_and_in_every_version():
    """Stored values of the unit vectors: the signs of the directions, divided by 2."""
    eye = {f"e{i}": np.eye(4, dtype=np.float32)[i : i + 1] for i in range(4)}
    signs = np.array([lock(eye).slides[f"e{i}"][3:] for i in range(4)]) * 2
    assert ["".join("+" if v > 0 else "-" for v in row) for row in signs] == SIGNS
    assert set(np.unique(signs)) == {-1.0, 1.0}


SIGNS = ["-+-++------+-+++", "-+------+-++----", "+-----++----+--+", "---++++-++--++++"]


def test_the_order_of_the_patches_does_not_matter():
    features = bags()
    assert lock(features).deviation(lock(changed(features, lambda f: f[::-1]))) < 1e-5


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f + np.random.default_rng(1).normal(scale=1e-3, size=f.shape),
        lambda f: f.astype(np.float16),
        lambda f: f * 1.0005,
    ],
)
def test_the_same_encoder_again_is_about_equal_and_has_another_digest(change):
    features = bags()
    again = changed(features, change)
    assert store_of_arrays("u", features).digest != store_of_arrays("u", again).digest
    assert 0 < lock(features).deviation(lock(again)) <= TOLERANCE


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f[:, ::-1],
        lambda f: f * 1.1,
        lambda f: f + 0.1,
        lambda f: np.where(np.arange(f.shape[1]) == 3, 0, f),
        lambda f: f[: max(1, len(f) - 1)],
        lambda f: f[:, :-1],
        lambda f: np.tanh(f),
    ],
)
def test_other_features_are_not_equal(change):
    features = bags()
    mine, other = lock(features), lock(changed(features, change))
    assert mine.deviation(other) > TOLERANCE
    assert mine.deviation(other) == other.deviation(mine)


def test_other_slides_and_other_encoders_of_one_width_are_not_equal():
    mine = lock(bags())
    assert mine.deviation(lock(bags(seed=1))) > TOLERANCE
    fewer = {s: f for s, f in bags().items() if s != "c"}
    assert mine.deviation(lock(fewer)) == float("inf")


def test_a_slide_without_spread_is_equal_to_itself_only():
    flat = {"a": np.full((3, 4), 2.0, dtype=np.float32)}
    assert lock(flat).deviation(lock(flat)) == 0
    assert lock(flat).deviation(lock({"a": np.full((3, 4), 2.1, dtype=np.float32)})) == np.inf


def test_a_stored_lock_is_read_back_and_not_written_twice(tmp_path):
    store = store_of_arrays("uni", bags(dtype=np.float16))
    path = save_lock(store, tmp_path / "toy" / "features")
    assert path.name == f"{store.digest}.json"
    assert FeaturesLock.read(path) == lock_of(store)
    before = path.stat().st_mtime_ns
    save_lock(store, path.parent)
    assert path.stat().st_mtime_ns == before
    locks, unreadable = read_locks(tmp_path)
    assert (list(locks), unreadable) == ([store.digest], [])


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "cannot read"),
        ("[]", "holds a list; expected an object"),
        ('{"format": 9}', r"newer mil-bench \(format 9; this version reads up to 1\)"),
        ('{"dim": "4", "slides": {}}', "has no dim or no slides"),
        ('{"dim": 4, "slides": {"s": [1, 2]}}', "slide 's' has other entries than 19 numbers"),
        (json.dumps({"dim": 4, "slides": {"s": ["x"] * 19}}), "other entries than 19 numbers"),
        ('{"dim": 4, "slides": {"s": [' + ",".join(["1e999"] * 19) + "]}}", "19 numbers"),
        ('{"dim": 4, "slides": {"s": [' + ",".join(["NaN"] * 19) + "]}}", "19 numbers"),
        ('{"dim": 4, "slides": {"s": [' + ",".join(["1" * 400] * 19) + "]}}", "19 numbers"),
        ("[" * 200_000, "cannot read"),
    ],
)
def test_a_damaged_lock_is_a_sentence_and_costs_no_board(tmp_path, text, sentence):
    path = tmp_path / "toy" / "features" / "abc.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(DataError, match=sentence):
        FeaturesLock.read(path)
    locks, unreadable = read_locks(tmp_path)
    assert (locks, len(unreadable)) == ({}, 1)


@given(st.data())
def test_no_change_of_bytes_is_more_than_a_sentence(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "toy" / "features" / "abc.json"
    path.parent.mkdir(parents=True)
    lock(bags(sizes={"a": 2})).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    path.write_bytes(content)
    locks, unreadable = read_locks(path.parents[2])
    assert len(locks) + len(unreadable) == 1
    for read in locks.values():
        assert read.deviation(read) == 0
