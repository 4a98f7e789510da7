"""The probe on bags of one and of several."""

from __future__ import annotations

import torch

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.probe import Probe, ProbeConfig

TREE = Taxonomy.flat("three", ["a", "b", "c"])


def test_a_bag_of_one_is_classified_by_a_linear_layer_alone():
    torch.manual_seed(0)
    probe, embeddings = Probe(ProbeConfig(), 5, TREE), torch.randn(4, 5)
    logits = probe(BagBatch.pack(embeddings.split(1))).logits[LEAF]
    expected = embeddings @ probe.classifier.weight.T + probe.classifier.bias
    torch.testing.assert_close(logits, expected)
    assert sum(p.numel() for p in probe.parameters()) == 5 * 3 + 3


def test_a_bag_of_several_is_the_bag_of_their_mean():
    torch.manual_seed(0)
    probe, bag = Probe(ProbeConfig(hidden=7), 5, TREE).eval(), torch.randn(6, 5)
    several, mean = BagBatch.pack([bag]), BagBatch.pack([bag.mean(0, keepdim=True)])
    torch.testing.assert_close(probe(several).logits[LEAF], probe(mean).logits[LEAF])
