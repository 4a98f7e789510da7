"""The cost of a forward pass: counted by hand, the same everywhere, without side effects."""

from __future__ import annotations

import pytest
import torch
from prediction_cases import BRACS

from mil_bench.methods import METHODS
from mil_bench.runs.environment import PATCHES, forward_flops


def made(name, dim=32, **config):
    cls = METHODS.get(name)
    return cls(cls.Config(**config), dim, BRACS).eval()


def test_mean_pooling_classifies_every_patch():
    method = made("mean")
    linear = [m for m in method.modules() if isinstance(m, torch.nn.Linear)]
    per_patch = sum(2 * m.in_features * m.out_features for m in linear)
    assert forward_flops(method) == PATCHES * per_patch


@pytest.mark.parametrize("name", sorted(entry.name for entry in METHODS))
def test_every_method_has_a_cost(name):
    method = made(name)
    before = torch.get_rng_state()
    found = forward_flops(method)
    assert found > 0
    assert torch.equal(torch.get_rng_state(), before)
    assert forward_flops(method) == found
    assert not method.training
