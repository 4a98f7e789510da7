"""WiKG beyond its golden vectors: parts of large bags, fewer patches than neighbours."""

from __future__ import annotations

import pytest
import torch

from mil_bench.bags.batch import BagBatch
from mil_bench.methods import wikg
from mil_bench.methods.wikg import WiKG, WiKGConfig
from mil_bench.taxonomy import LEAF, Taxonomy

TREE = Taxonomy.flat("three", ["a", "b", "c"])


def model(**options):
    torch.manual_seed(0)
    return WiKG(WiKGConfig(width=8, **options), 6, TREE).double().eval()


def test_a_bag_in_parts_has_the_result_and_the_gradients_of_the_whole(monkeypatch):
    torch.manual_seed(1)
    labels = {LEAF: torch.tensor([2, 0])}
    batch = BagBatch.pack([torch.randn(n, 6, dtype=torch.float64) for n in (50, 9)], labels=labels)
    results = []
    for part in (1 << 13, 16):
        monkeypatch.setattr(wikg, "_PART", part)
        one = model()
        output = one(batch)
        one.loss(output, batch, 0.0)["ce"].backward()
        results.append((output.logits[LEAF], [p.grad for p in one.parameters()]))
    torch.testing.assert_close(results[0], results[1])


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_bag_smaller_than_its_neighbours_uses_all_it_has(size):
    torch.manual_seed(1)
    bag = torch.randn(size, 6, dtype=torch.float64)
    few, enough = model(neighbours=6), model(neighbours=size)
    alone = few(BagBatch.pack([bag])).logits[LEAF]
    torch.testing.assert_close(alone, enough(BagBatch.pack([bag])).logits[LEAF])
    beside = BagBatch.pack([torch.randn(20, 6, dtype=torch.float64), bag])
    torch.testing.assert_close(few(beside).logits[LEAF][1:], alone)
