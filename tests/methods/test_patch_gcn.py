"""Patch-GCN beyond its golden vectors: who hears from whom."""

from __future__ import annotations

import pytest
import torch

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.patch_gcn import PatchGCN, PatchGCNConfig

TREE = Taxonomy.flat("two", ["x", "y"])
LINE = torch.tensor([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])  # nearest of each: 1, 0, 1


def model(**options):
    torch.manual_seed(0)
    return PatchGCN(PatchGCNConfig(width=4, **options), 3, TREE).double().eval()


def features(n):
    torch.manual_seed(1)
    return torch.randn(n, 3, dtype=torch.float64)


def test_a_patch_hears_from_those_that_have_it_among_their_nearest():
    one, x = model(k=1, layers=1), features(3).requires_grad_()
    nodes = one(BagBatch.pack([x], [LINE])).extras["nodes"][:, 4:]
    heard = []
    for node in nodes:
        (gradient,) = torch.autograd.grad(node.square().sum(), x, retain_graph=True)
        heard.append(gradient.any(1).nonzero().flatten().tolist())
    assert heard == [[0, 1], [0, 1, 2], [2]]  # 0 and 2 list 1, 1 lists 0, nobody lists 2


def test_coordinates_matter_to_convolutions_and_to_nothing_else():
    x, places = features(20), torch.rand(20, 2, generator=torch.Generator().manual_seed(2))
    for layers in (0, 1):
        one = model(layers=layers)
        here, there = (one(BagBatch.pack([x], [xy])) for xy in (places, places.flip(0)))
        assert torch.equal(here.logits[LEAF], there.logits[LEAF]) == (layers == 0)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_a_bag_of_no_more_patches_than_neighbours_joins_all(n):
    bag = BagBatch.pack([features(n)], [torch.rand(n, 2)])
    few, enough = model(k=16), model(k=max(1, n - 1))
    assert few.edges(bag).shape == (2, n * (n - 1))
    torch.testing.assert_close(few(bag).logits, enough(bag).logits)
