"""The graph of nearest patches: exact, with ties by coordinates, made once per bag."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.bags.device import DeviceBags
from mil_bench.bags.store import store_of_arrays
from mil_bench.base.errors import FeatureError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract import graph
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.graph import batch_edges, nearest_edges
from mil_bench.methods.patch_gcn import PatchGCN, PatchGCNConfig

CPU = torch.device("cpu")


def by_brute_force(xy, k):
    """Every distance, sorted by distance, x, y and place in the file."""
    n = len(xy)
    edges = []
    for i in range(n):
        far = ((xy - xy[i]) ** 2).sum(1)
        order = [j for j in np.lexsort((np.arange(n), xy[:, 1], xy[:, 0], far)) if j != i]
        edges += [(i, j) for j in order[: min(k, n - 1)]]
    return np.array(edges, dtype=np.int64).reshape(-1, 2).T


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 60),
    k=st.integers(1, 9),
    span=st.sampled_from([1, 2, 8, 1000]),
    seed=st.integers(0, 99),
)
def test_edges_are_those_of_all_distances_also_with_ties_and_duplicates(n, k, span, seed):
    xy = np.random.default_rng(seed).integers(0, span, size=(n, 2)) * 256.0
    assert np.array_equal(nearest_edges(xy, k), by_brute_force(xy, k))


def store_of(coords=True):
    rng = np.random.default_rng(0)
    sizes = {"a": 12, "b": 1, "c": 30}
    features = {s: rng.normal(size=(n, 3)).astype(np.float32) for s, n in sizes.items()}
    places = {s: rng.integers(0, 9, size=(n, 2)).astype(float) for s, n in sizes.items()}
    return store_of_arrays("toy", features, places if coords else None)


@pytest.mark.parametrize("home", ["none", "ram"])
def test_a_batch_has_the_edges_of_its_bags_between_its_own_rows(home):
    bags = DeviceBags(store_of(), CPU, placement=home, neighbours=4)
    batch = bags.batch(["c", "b", "a"])
    assert torch.equal(batch.edges, batch_edges(batch.coords, batch, 4))
    assert batch.edges.shape == (2, 4 * 30 + 4 * 12)
    assert torch.equal(batch.segment[batch.edges[0]], batch.segment[batch.edges[1]])
    assert DeviceBags(store_of(), CPU).batch(["a"]).edges is None
    assert DeviceBags(store_of(coords=False), CPU, neighbours=4).batch(["a"]).edges is None


def test_a_graph_is_made_once_and_that_of_a_subset_is_among_its_patches(monkeypatch):
    made = []
    real = graph.nearest_edges
    monkeypatch.setattr(graph, "nearest_edges", lambda xy, k: made.append(len(xy)) or real(xy, k))
    bags = DeviceBags(store_of(), CPU, neighbours=3)
    whole = [bags.batch(["a", "c"]).edges for _ in range(2)]
    assert torch.equal(*whole)
    assert made == [12, 30]
    subset = torch.tensor([1, 4, 5, 9, 20])
    part = bags.batch(["a", "c"], subsets=[None, subset])
    assert made == [12, 30, 5]
    assert torch.equal(part.edges, batch_edges(part.coords, part, 3))


def test_the_result_is_that_of_the_graph_of_the_batch_whoever_made_it():
    torch.manual_seed(0)
    model = PatchGCN(PatchGCNConfig(width=4, k=5), 3, Taxonomy.flat("two", ["x", "y"])).eval()
    with_edges = DeviceBags(store_of(), CPU, neighbours=model.neighbours).batch(["a", "c", "b"])
    without = DeviceBags(store_of(), CPU).batch(["a", "c", "b"])
    assert with_edges.edges is not None
    torch.testing.assert_close(model(with_edges).logits[LEAF], model(without).logits[LEAF])


def test_features_without_coordinates_are_refused_in_one_sentence():
    model = PatchGCN(PatchGCNConfig(width=4), 3, Taxonomy.flat("two", ["x", "y"]))
    with pytest.raises(FeatureError, match=r"patch-gcn requires coordinates .* have none"):
        model(BagBatch.pack([torch.randn(4, 3)]))
