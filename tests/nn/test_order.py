"""The order of instances by their coordinates."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mil_bench.base.config import build
from mil_bench.base.errors import FeatureError
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods import METHODS
from mil_bench.nn.order import Ordered, grid_order

NARROW = {
    "transmil": {"dim": 16, "heads": 2},
    "s4mil": {"width": 16, "states": 4},
    "rrt": {"width": 16, "heads": 2, "cross_heads": 2, "epeg": 3},
}


def tiles(side, generator):
    """A shuffled square of tiles and the places they were shuffled from."""
    order = torch.randperm(side * side, generator=generator)
    return torch.stack([order % side, order // side], 1) * 256.0, order


def test_shuffled_squares_of_tiles_become_themselves_again():
    generator = torch.Generator().manual_seed(0)
    squares = [tiles(side, generator) for side in (3, 1, 5)]
    batch = BagBatch.pack([xy for xy, _ in squares], [xy for xy, _ in squares])
    rows = grid_order(batch.coords, batch)
    starts = [0, 9, 10]
    for start, (_, order) in zip(starts, squares, strict=True):
        mine = rows[start : start + len(order)] - start
        assert order[mine].tolist() == list(range(len(order)))


def test_neighbours_in_a_column_are_neighbours_on_the_slide():
    xy = torch.tensor([[5.0, 0], [0, 1], [9, 1], [4, 10], [1, 11], [7, 12]])
    batch = BagBatch.pack([xy], [xy])  # side 3: the topmost three, left to right, then the rest
    assert grid_order(xy, batch).tolist() == [1, 0, 2, 4, 3, 5]
    wide = grid_order(xy, batch, multiple=4)  # side 4
    assert wide.tolist() == [1, 3, 0, 2, 4, 5]


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), seed=st.integers(0, 9))
def test_bags_stay_apart_and_what_is_ordered_can_be_restored(sizes, seed):
    torch.manual_seed(seed)
    bags = [torch.randn(n, 3) for n in sizes]
    batch = BagBatch.pack(bags, [torch.randint(0, 5, (n, 2)).float() for n in sizes])
    ordered = Ordered.of(batch, "coords")
    assert torch.equal(batch.segment[ordered.rows], batch.segment)
    assert torch.equal(ordered.rows.sort().values, torch.arange(sum(sizes)))
    assert torch.equal(ordered.batch.features, batch.features[ordered.rows])
    assert torch.equal(ordered.restored(ordered.batch.features), batch.features)


@pytest.mark.parametrize("name", sorted(NARROW))
def test_with_coordinates_the_order_of_the_file_is_of_no_matter(name):
    torch.manual_seed(0)
    method = METHODS.get(name)
    config = build(method.Config, {**NARROW[name], "order": "coords"}, name)
    model = method(config, 6, Taxonomy.flat("three", ["a", "b", "c"])).double().eval()
    sizes = (130, 7)
    bags = [torch.randn(n, 6, dtype=torch.float64) for n in sizes]
    coords = [torch.rand(n, 2) for n in sizes]
    shuffles = [torch.randperm(n) for n in sizes]
    one = model(BagBatch.pack(bags, coords))
    other = model(
        BagBatch.pack(
            [bag[s] for bag, s in zip(bags, shuffles, strict=True)],
            [xy[s] for xy, s in zip(coords, shuffles, strict=True)],
        )
    )
    torch.testing.assert_close(one.logits[LEAF], other.logits[LEAF])
    if LEAF in one.attention:
        moved = torch.cat([shuffles[0], shuffles[1] + 130])
        torch.testing.assert_close(one.attention[LEAF][moved], other.attention[LEAF])


def test_coordinates_that_are_not_there_are_asked_for_in_one_sentence():
    with pytest.raises(FeatureError, match=r"order=coords requires coordinates.*order=file\."):
        Ordered.of(BagBatch.pack([torch.randn(3, 2)]), "coords")
