import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from mil_bench.bags.conversion import Standardization
from mil_bench.bags.device import DeviceBags
from mil_bench.bags.loader import EvaluationLoader, TrainLoader, sampling_weights
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.store import BagStore

TREE = Taxonomy.from_tree("t", {"low": ["a", "b"], "high": ["c"]})
CPU = torch.device("cpu")


def make_store(sizes, dtype=np.float32, coords=False, dim=3):
    total = sum(sizes)
    rng = np.random.default_rng(0)
    starts = np.cumsum([0, *sizes]).tolist()
    return BagStore(
        "e",
        rng.normal(2, 3, size=(total, dim)).astype(dtype),
        rng.uniform(0, 1e5, size=(total, 2)) if coords else None,
        {f"s{i}": (starts[i], n) for i, n in enumerate(sizes)},
        "digest",
    )


def make_loader(sizes, leaf=None, **options):
    bags = DeviceBags(make_store(sizes), CPU)
    leaf = np.zeros(len(sizes), dtype=np.int64) if leaf is None else np.asarray(leaf)
    options = {"batch_size": 2, "seed": 0, **options}
    return TrainLoader(bags, list(bags.rows), leaf, TREE, **options)


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(1, 5), st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_an_epoch_of_shuffled_batches_holds_every_bag_once_and_unchanged(sizes, batch_size, epoch):
    loader = make_loader(sizes, batch_size=batch_size)
    store = make_store(sizes)
    batches = list(loader.epoch(epoch))
    seen = [s for batch in batches for s in batch.slide_ids]
    assert sorted(seen) == sorted(store.rows)
    assert len(batches) == len(loader)
    for batch in batches:
        for bag, slide in zip(batch.bags(), batch.slide_ids, strict=True):
            np.testing.assert_array_equal(bag.features.numpy(), store.bag(slide))


def test_the_order_depends_on_seed_and_epoch_alone():
    one, same, other = (make_loader([2] * 20, seed=s) for s in (3, 3, 4))
    one.order(1)  # asking for an earlier epoch changes nothing
    assert one.order(5).tolist() == same.order(5).tolist()
    assert one.order(5).tolist() != one.order(6).tolist()
    assert one.order(5).tolist() != other.order(5).tolist()


def test_balanced_sampling_draws_every_class_equally_often():
    leaf = [0] * 90 + [1] * 9 + [2]
    loader = make_loader([1] * 100, leaf, sampling="balanced")
    drawn = np.concatenate([loader.leaf[loader.order(epoch)] for epoch in range(200)])
    share = np.bincount(drawn) / len(drawn)
    # 20,000 draws: the standard error of a share of 1/3 is 0.0033
    np.testing.assert_allclose(share, 1 / 3, atol=0.015)


def test_balanced_sampling_ignores_classes_without_bags():
    np.testing.assert_allclose(sampling_weights(np.array([0, 0, 2])), [0.25, 0.25, 0.5])


def test_labels_follow_their_bags_at_every_level():
    loader = make_loader([1, 2, 3, 4], leaf=[0, 1, 2, 2], batch_size=3)
    for batch in loader.epoch(1):
        for slide, leaf, coarse in zip(
            batch.slide_ids, batch.labels["leaf"], batch.labels["coarse"], strict=True
        ):
            assert int(leaf) == [0, 1, 2, 2][int(slide[1:])]
            assert int(coarse) == [0, 0, 1, 1][int(slide[1:])]


def test_large_bags_are_cut_to_a_fresh_random_subset_each_epoch():
    loader = make_loader([50, 4], max_instances=10, batch_size=1)
    store = make_store([50, 4])

    def rows(epoch):
        found = {b.slide_ids[0]: b.features.numpy() for b in loader.epoch(epoch)}
        assert len(found["s1"]) == 4
        whole = store.bag("s0")
        return [int(np.flatnonzero((whole == row).all(1))[0]) for row in found["s0"]]

    first, second = rows(1), rows(2)
    assert len(set(first)) == 10
    assert first == sorted(first)
    assert first != second
    assert first == rows(1)


def test_half_precision_features_and_coordinates_arrive_as_float32():
    store = make_store([3, 2], np.float16, coords=True)
    batch = DeviceBags(store, CPU).batch(["s1", "s0"])
    assert batch.features.dtype == torch.float32
    expected = np.concatenate([store.bag("s1"), store.bag("s0")]).astype(np.float32)
    np.testing.assert_array_equal(batch.features.numpy(), expected)
    np.testing.assert_allclose(batch.coords[:2].numpy(), store.bag_coords("s1"), rtol=1e-6)
    assert batch.offsets.tolist() == [0, 2, 5]


def test_a_read_only_memory_map_is_read_without_a_warning(tmp_path, recwarn):
    store = make_store([3, 2])
    np.save(tmp_path / "f.npy", store.features)
    mapped = np.load(tmp_path / "f.npy", mmap_mode="r")
    ones = Standardization(torch.ones(3), torch.ones(3))
    bags = DeviceBags(BagStore("e", mapped, None, store.rows, ""), CPU, standardization=ones)
    batch = bags.batch(["s1"])
    np.testing.assert_allclose(batch.features.numpy(), store.bag("s1") - 1)
    np.testing.assert_array_equal(mapped, store.features)
    assert not recwarn.list


def test_evaluation_keeps_the_order_packs_small_bags_and_has_no_labels():
    sizes = [1000, 700, 900, 2500, 1]
    loader = EvaluationLoader(DeviceBags(make_store(sizes), CPU), [f"s{i}" for i in range(5)])
    batches = list(loader)
    assert [b.sizes for b in batches] == [(1000, 700), (900,), (2500,), (1,)]
    assert [s for b in batches for s in b.slide_ids] == ["s0", "s1", "s2", "s3", "s4"]
    assert all(not b.labels for b in batches)


@given(st.lists(st.integers(1, 30), min_size=2, max_size=6), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_standardisation_equals_scikit_learn_on_the_training_instances(sizes, shift):
    store = make_store(sizes)
    store.features[:, 0] += shift
    store.features[:, 2] = 7.0  # never varies
    train = ["s0", "s1"]
    oracle = StandardScaler().fit(np.concatenate([store.bag(s) for s in train]).astype(float))
    fitted = Standardization.fit(store, train)
    np.testing.assert_allclose(fitted.mean.numpy(), oracle.mean_, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(fitted.std.numpy(), oracle.scale_, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("home", ["none", "ram", "gpu"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batches_on_the_device_equal_batches_on_the_host(home, dtype):
    store = make_store([5, 3, 8], np.float16, coords=True)
    device = torch.device("cuda", 0)
    ones = Standardization(torch.ones(3), torch.full((3,), 2.0))
    here = DeviceBags(store, CPU, dtype=dtype, standardization=ones)
    there = DeviceBags(store, device, dtype=dtype, standardization=ones, placement=home)
    subsets = [torch.tensor([0, 3]), None]
    labels = {"leaf": torch.tensor([1, 2])}
    one = here.batch(["s2", "s0"], subsets=subsets, labels=labels)
    two = there.batch(["s2", "s0"], subsets=subsets, labels=labels)
    assert two.features.is_cuda
    torch.testing.assert_close(two.features.cpu(), one.features)
    torch.testing.assert_close(two.coords.cpu(), one.coords)
    assert two.offsets.tolist() == one.offsets.tolist()
    assert two.labels["leaf"].tolist() == [1, 2]
