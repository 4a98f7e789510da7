"""WiKG beyond its golden vectors: parts and memory of large bags, few patches, the sum form."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.methods import wikg
from mil_bench.methods import wikg as nearest
from mil_bench.methods.wikg import WiKG, WiKGConfig

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


class Largest(TorchDispatchMode):
    """Watches every operation, those of the gradient too, for its largest tensor."""

    seen = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        parts = result if isinstance(result, tuple | list) else [result]
        made = [part.numel() for part in parts if isinstance(part, torch.Tensor)]
        self.seen = max(self.seen, *made, 0)
        return result


def test_no_tensor_of_a_training_step_grows_faster_than_the_bag(monkeypatch):
    monkeypatch.setattr(nearest, "KEPT_PRODUCTS", 1 << 11)
    monkeypatch.setattr(wikg, "_PART", 32)
    for n in (400, 800):
        torch.manual_seed(1)
        one = model().train()
        batch = BagBatch.pack([torch.randn(n, 6).double()], labels={LEAF: torch.tensor([2])})
        with Largest() as watch:
            one.loss(one(batch), batch, 0.0)["ce"].backward()
        assert 8 * n <= watch.seen < 12 * n  # width x N; N x N would be 400 N and 800 N


def test_the_sum_aggregation_is_a_layer_of_patch_plus_neighbourhood():
    one, x = model(aggregation="gcn", neighbours=2), torch.randn(4, 6, dtype=torch.float64)
    h = F.leaky_relu(F.linear(x, one.project[0].weight, one.project[0].bias))
    h = (h + h.mean(0)) / 2
    heads, tails = one.head(h), one.tail(h)
    rows = []
    for head in heads:
        scores = tails @ head / 8**0.5
        best = scores.argsort(descending=True)[:2]
        p = scores[best].softmax(0)
        products = [
            tails[j].sum() * (head + p_j * tails[j] + (1 - p_j) * head).tanh().sum()
            for p_j, j in zip(p, best, strict=True)
        ]
        around = torch.stack(products).softmax(0) @ tails[best]
        rows.append(F.leaky_relu(one.combine[0](head + around)))
    z = one.norm(torch.stack(rows).mean(0))
    logits = one(BagBatch.pack([x])).logits[LEAF][0]
    torch.testing.assert_close(logits, one.classifier(z))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_bag_smaller_than_its_neighbours_uses_all_it_has(size):
    torch.manual_seed(1)
    bag = torch.randn(size, 6, dtype=torch.float64)
    few, enough = model(neighbours=6), model(neighbours=size)
    alone = few(BagBatch.pack([bag])).logits[LEAF]
    torch.testing.assert_close(alone, enough(BagBatch.pack([bag])).logits[LEAF])
    beside = BagBatch.pack([torch.randn(20, 6, dtype=torch.float64), bag])
    torch.testing.assert_close(few(beside).logits[LEAF][1:], alone)
