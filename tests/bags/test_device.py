"""Batches of a store against the naive form: slice, convert, concatenate in NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.bags.conversion import ROWS_AT_ONCE, Standardization
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.loader import EvaluationLoader, TrainLoader
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.batch import PADDED_FROM, padded_rows, stored_rows, with_padding
from mil_bench.contract.store import BagStore

CPU = torch.device("cpu")
TREE = Taxonomy.from_tree("t", {"low": ["a", "b"], "high": ["c"]})
DIM = 3
HEADER = 128  # bytes of a .npy file before its numbers


def make_store(sizes, dtype=np.float32, coords=False, gap=0):
    """Bags in the order of ``sizes`` with ``gap`` rows of nobody before each; room as in files."""
    rng = np.random.default_rng(0)
    starts = np.cumsum([0, *(gap + stored_rows(n) for n in sizes)])
    features = rng.normal(2, 3, size=(starts[-1], DIM)).astype(dtype)
    xy = rng.uniform(0, 1e5, size=(starts[-1], 2)) if coords else None
    rows = {f"s{i}": (int(starts[i]) + gap, n) for i, n in enumerate(sizes)}
    return BagStore("e", features, xy, rows, "digest")


def mapped(store, folder):
    """The same store over read-only memory maps, as the packed cache gives it."""
    np.save(folder / "features.npy", store.features)
    features = np.load(folder / "features.npy", mmap_mode="r")
    return BagStore(store.encoder, features, store.coords, store.rows, store.digest)


def bits(tensor):
    return tensor.contiguous().view(torch.uint8).tolist()


@given(
    st.lists(st.integers(1, 2 * ROWS_AT_ONCE + 3), min_size=1, max_size=4),
    st.sampled_from([np.float16, np.float32]),
    st.sampled_from([torch.float32, torch.bfloat16]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["none", "ram"]),
)
@settings(max_examples=60, deadline=None)
def test_a_batch_is_the_converted_bags_one_after_another(
    sizes, stored, dtype, standardize, cut, home
):
    store = make_store(sizes, stored, coords=True, gap=2)
    fitted = Standardization(torch.tensor([1.0, 2, 3]), torch.tensor([2.0, 3, 5]))
    bags = DeviceBags(
        store, CPU, dtype=dtype, standardization=fitted if standardize else None, placement=home
    )
    slides = list(store.rows)[::-1]
    subsets = [torch.arange(0, store.rows[s][1], 2) if cut else None for s in slides]
    step = 2 if cut else 1
    for _ in range(2):  # the second time from what was kept
        batch = bags.batch(slides, subsets=subsets)
        naive = np.concatenate([store.bag(s)[::step].astype(np.float64) for s in slides])
        if standardize:
            naive = (naive - [1, 2, 3]) / [2, 3, 5]
        assert batch.features.dtype == dtype
        tolerance = 1e-6 if dtype == torch.float32 else 2**-8
        expected = torch.from_numpy(naive)
        torch.testing.assert_close(
            batch.features.double(), expected, rtol=tolerance, atol=tolerance
        )
        xy = np.concatenate([store.bag_coords(s)[::step] for s in slides]).astype(np.float32)
        np.testing.assert_array_equal(batch.coords.numpy(), xy)
        assert batch.sizes == tuple(len(store.bag(s)[::step]) for s in slides)
        assert batch.offsets.tolist() == np.cumsum([0, *batch.sizes]).tolist()


@pytest.mark.parametrize("stored", [np.float16, np.float32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("standardize", [False, True])
def test_features_are_equal_to_the_bit_wherever_they_are_kept(stored, dtype, standardize):
    store = make_store([5, PADDED_FROM + 9, 1], stored)
    fitted = Standardization.fit(store, ["s0", "s1"]) if standardize else None
    none, ram = (
        DeviceBags(store, CPU, dtype=dtype, standardization=fitted, placement=home)
        for home in ("none", "ram")
    )
    for slides in (["s1"], ["s2", "s0", "s1"], ["s1", "s2"]):
        for step in (None, 2):
            subsets = [torch.arange(0, store.rows[s][1], step) if step else None for s in slides]
            one, other = (b.batch(slides, subsets=subsets).features for b in (none, ram))
            assert bits(one) == bits(other)
            # products over the memory around the rows have the same shape, so they round alike
            assert len(with_padding(one)) == len(with_padding(other))


def test_one_whole_bag_in_the_right_type_is_a_view_of_the_map(tmp_path):
    store = mapped(make_store([16, PADDED_FROM + 9]), tmp_path)
    batch = DeviceBags(store, CPU).batch(["s1"])
    assert batch.features.data_ptr() == store.bag("s1").ctypes.data
    assert batch.features.data_ptr() % 64 == 0
    # the map is that of the file: it shows what another process writes there
    with (tmp_path / "features.npy").open("r+b") as file:
        file.seek(store.bag("s1")[-1:, -1:].ctypes.data - store.features.ctypes.data + HEADER)
        file.write(np.float32(77).tobytes())
    assert batch.features[-1, -1] == 77


@pytest.mark.parametrize("home", ["none", "ram"])
@pytest.mark.parametrize("rows", [1, PADDED_FROM - 1, PADDED_FROM, 5000])
def test_a_bag_alone_has_room_behind_it_whether_it_is_a_view_or_a_copy(home, rows):
    store = store_of_arrays("e", {"a": np.ones((16, DIM)), "b": np.ones((rows, DIM))})
    features = DeviceBags(store, CPU, placement=home).batch(["b"]).features
    memory = with_padding(features)
    assert features.shape == (rows, DIM)
    assert len(memory) == padded_rows(rows)
    assert features.eq(1).all()
    assert memory[rows:].eq(0).all()


@pytest.mark.parametrize("home", ["none", "ram"])
def test_a_bag_off_the_cache_line_is_copied_onto_one(tmp_path, home):
    store = mapped(make_store([1, PADDED_FROM + 9]), tmp_path)
    assert store.bag("s1").ctypes.data % 64 == 4 * DIM
    features = DeviceBags(store, CPU, placement=home).batch(["s1"]).features
    assert features.data_ptr() % 64 == 0
    np.testing.assert_array_equal(features.numpy(), store.bag("s1"))


def test_a_bag_kept_in_ram_is_converted_once_and_then_a_view():
    store = make_store([16, PADDED_FROM + 9], np.float16)
    bags = DeviceBags(store, CPU, placement="ram")
    first = bags.batch(["s1"]).features
    store.features[:] = 0  # whatever happens to the file
    again = bags.batch(["s1"]).features
    assert again.data_ptr() == first.data_ptr()
    assert again.abs().sum() > 0
    assert bags.batch(["s0"]).features.abs().sum() == 0  # was read only now


def test_bags_at_hand_are_those_that_need_no_work():
    single, half = make_store([4, 6]), make_store([4, 6], np.float16)
    fitted = Standardization(torch.zeros(DIM), torch.ones(DIM))
    assert DeviceBags(single, CPU).at_hand(["s0", "s1"])
    assert not DeviceBags(half, CPU).at_hand(["s0"])
    assert not DeviceBags(single, CPU, dtype=torch.bfloat16).at_hand(["s0"])
    assert not DeviceBags(single, CPU, standardization=fitted).at_hand(["s0"])
    kept = DeviceBags(half, CPU, placement="ram")
    kept.batch(["s0"])
    assert kept.at_hand(["s0"])
    assert not kept.at_hand(["s0", "s1"])


@pytest.mark.parametrize("cores", [1, 8])
@pytest.mark.parametrize("home", ["none", "ram"])
@pytest.mark.parametrize("stored", [np.float16, np.float32])
def test_batches_do_not_depend_on_the_thread_that_prepares_them(monkeypatch, cores, home, stored):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)))
    store = make_store([5, 3, 8, 70, 2], stored, coords=True)
    bags = DeviceBags(store, CPU, placement=home)
    loader = TrainLoader(
        bags, list(store.rows), np.array([0, 1, 2, 0, 1]), TREE, batch_size=2, seed=1
    )
    for epoch in (1, 2):
        batches = list(loader.epoch(epoch))
        assert [s for b in batches for s in b.slide_ids] == [f"s{i}" for i in loader.order(epoch)]
        for batch in batches:
            for bag, slide in zip(batch.bags(), batch.slide_ids, strict=True):
                np.testing.assert_array_equal(
                    bag.features.numpy(), store.bag(slide).astype(np.float32)
                )
                assert bag.labels["leaf"].item() == [0, 1, 2, 0, 1][int(slide[1:])]
    evaluated = list(EvaluationLoader(bags, ["s4", "s0"]))
    assert [b.slide_ids for b in evaluated] == [("s4", "s0")]
