"""S4MIL: what surrounds its state space layer."""

from __future__ import annotations

import torch
from torch.nn import functional as F

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods.s4mil import S4MIL, S4MILConfig

TREE = Taxonomy.flat("three", ["a", "b", "c"])


def test_a_bag_is_the_maximum_per_channel_of_its_sequence_and_patches_share_the_channels():
    torch.manual_seed(0)
    one = S4MIL(S4MILConfig(width=8, states=4), 6, TREE).double().eval()
    bags = [torch.randn(n, 6, dtype=torch.float64) for n in (12, 1)]
    output = one(BagBatch.pack(bags))
    shares, linear = output.attention[LEAF].squeeze(1).split([12, 1]), one.project[0]
    for logits, share, x in zip(output.logits[LEAF], shares, bags, strict=True):
        h = F.layer_norm(F.relu(F.linear(x, linear.weight, linear.bias)), (8,))
        rows = one.layers[0].s4d(h, [len(x)])  # norm starts as the plain one
        best = rows.max(0)
        torch.testing.assert_close(logits, one.classifier(best.values))
        won = torch.bincount(best.indices, minlength=len(x))
        torch.testing.assert_close(share, (won / 8).to(share.dtype))
