"""A store in memory: ragged bags behind each other, a digest of the content."""

import numpy as np
import pytest
from feature_writers import grid_coords, random_bags
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import FeatureError

SIZES = st.dictionaries(st.text("abc", min_size=1, max_size=3), st.integers(1, 9), min_size=1)


@settings(max_examples=50, deadline=None)
@given(sizes=SIZES, dim=st.integers(1, 5), dtype=st.sampled_from(["float16", "float32"]))
def test_every_bag_comes_back_as_it_was_given(sizes, dim, dtype):
    bags = random_bags(sizes, dim, dtype)
    coords = {slide: grid_coords(n) for slide, n in sizes.items()}
    store = store_of_arrays("e", bags, coords)
    assert (store.encoder, store.dim, store.features.dtype) == ("e", dim, dtype)
    assert len(store.features) == len(store.coords) == sum(sizes.values())
    for slide in sizes:
        np.testing.assert_array_equal(store.bag(slide), bags[slide])
        np.testing.assert_array_equal(store.bag_coords(slide), coords[slide])


def test_one_bag_of_float32_makes_all_float32_without_changing_values():
    bags = {"a": np.ones((2, 3), "float16") / 3, "b": np.ones((1, 3), "float32") / 3}
    store = store_of_arrays("e", bags)
    assert store.features.dtype == np.float32
    np.testing.assert_array_equal(store.bag("a"), bags["a"].astype("float32"))
    assert store.bag_coords("a") is None


def test_the_digest_follows_values_ids_and_coordinates_but_not_order_or_encoder():
    bags = random_bags({"a": 3, "b": 4})
    xy = {"a": grid_coords(3), "b": grid_coords(4)}
    base = store_of_arrays("e", bags).digest
    assert store_of_arrays("other", dict(reversed(bags.items()))).digest == base
    changed = [
        store_of_arrays("e", bags, xy),
        store_of_arrays("e", {"a": bags["a"]}),
        store_of_arrays("e", {"a": bags["b"], "b": bags["a"]}),
        store_of_arrays("e", {"a": bags["a"][::-1], "b": bags["b"]}),
        store_of_arrays("e", {"a": bags["a"] + 1e-6, "b": bags["b"]}),
        store_of_arrays("e", {"a": bags["a"].reshape(4, 6), "b": bags["b"][:, :6]}),
    ]
    assert len({base, *(store.digest for store in changed)}) == 1 + len(changed)


@pytest.mark.parametrize(
    ("bags", "reason"),
    [
        ({}, "there are no bags"),
        ({"a": np.zeros((0, 3))}, "slide a: an empty bag"),
        ({"a": np.full((2, 3), np.nan)}, "slide a: NaN or Inf in 2 of 2 patches"),
        ({"a": np.ones((2, 3)), "b": np.ones((2, 4))}, "D = 3 .'a'., D = 4 .'b'."),
    ],
)
def test_what_is_not_a_set_of_bags_is_refused(bags, reason):
    with pytest.raises(FeatureError, match=reason):
        store_of_arrays("e", bags)
