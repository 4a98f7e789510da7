"""The entropy term and the methods that have it as a switch."""

from __future__ import annotations

import math

import pytest
import torch

from mil_bench.base.config import build
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import Output
from mil_bench.methods import METHODS
from mil_bench.nn.entropy import EntropyConfig, entropy_term, negative_entropy

BATCH = BagBatch.pack([torch.zeros(2, 1), torch.zeros(4, 1)])
ATTENTION = torch.tensor([0.5, 0.5, 0.25, 0.25, 0.25, 0.25]).unsqueeze(1)


def test_even_attention_over_n_has_the_entropy_log_n():
    mean = -(math.log(2) + math.log(4)) / 2
    assert negative_entropy(ATTENTION, 2).item() == pytest.approx(mean)
    columns = torch.cat([ATTENTION, torch.tensor([[1.0], [0], [0], [1], [0], [0]])], 1)
    assert negative_entropy(columns, 2).item() == pytest.approx(mean / 2)


def test_a_weight_of_zero_has_finite_gradients():
    attention = torch.tensor([[1.0], [0.0]], requires_grad=True)
    negative_entropy(attention, 1).backward()
    assert attention.grad.isfinite().all()


def test_the_weight_is_constant_or_falls_on_half_a_cosine():
    output = Output({}, {LEAF: ATTENTION})
    full = 0.1 * negative_entropy(ATTENTION, 2).item()
    for schedule, shares in (("constant", [1, 1, 1]), ("cosine", [1, 0.5, 0])):
        config = EntropyConfig(entropy_weight=0.1, entropy_schedule=schedule)
        for progress, expected in zip((0.0, 0.5, 1.0), shares, strict=True):
            term = entropy_term(config, output, BATCH, progress)["entropy"].item()
            assert term == pytest.approx(expected * full, abs=1e-9)
    assert entropy_term(EntropyConfig(), output, BATCH, 0.0) == {}


@pytest.mark.parametrize("name", ["abmil", "clam-sb", "clam-mb", "aem", "rrt", "patch-gcn"])
def test_the_switch_adds_one_term_that_spreads_attention(name):
    method = METHODS.get(name)
    tree = Taxonomy.flat("two", ["a", "b"])
    torch.manual_seed(0)
    bags = [torch.randn(n, 6, dtype=torch.float64) for n in (5, 9)]
    coords = [torch.randn(n, 2) for n in (5, 9)]
    batch = BagBatch.pack(bags, coords, {LEAF: torch.tensor([0, 1])})
    torch.manual_seed(1)
    config = build(method.Config, {"width": 8, "entropy_weight": 0.3}, name)
    model = method(config, 6, tree).double().eval()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    values = []
    for _ in range(5):
        terms = model.loss(model(batch), batch, 0.0)
        values.append(terms["entropy"].item())
        optimizer.zero_grad()
        terms["entropy"].backward()
        optimizer.step()
    assert values == sorted(values, reverse=True)
    assert values[-1] < values[0]
    off = method(build(method.Config, {"width": 8, "entropy_weight": 0}, name), 6, tree).double()
    assert "entropy" not in off.loss(off(batch), batch, 0.0)
