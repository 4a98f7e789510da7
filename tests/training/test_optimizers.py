"""Optimisers: which weights decay, and exact resume."""

from __future__ import annotations

import io

import pytest
import torch
from torch import nn

from mil_bench.contract.spec import TrainerConfig
from mil_bench.training.optimizers import make_optimizer

OPTIMIZERS = ("adam", "adamw", "lookahead_radam")


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).double()


def train(module: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
    for step in steps:
        x = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(step))
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("stop", [3, 6, 8, 13])
def test_a_run_resumed_from_its_saved_state_ends_with_the_same_weights(name, stop):
    config = TrainerConfig(optimizer=name, lr=1e-2, weight_decay=1e-2)
    undisturbed = model()
    train(undisturbed, make_optimizer(undisturbed, config), range(20))

    first = model()
    optimizer = make_optimizer(first, config)
    train(first, optimizer, range(stop))
    file = io.BytesIO()
    torch.save({"model": first.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    second = model()
    second.load_state_dict(saved["model"])
    optimizer = make_optimizer(second, config)
    optimizer.load_state_dict(saved["optimizer"])
    train(second, optimizer, range(stop, 20))

    for ours, expected in zip(second.parameters(), undisturbed.parameters(), strict=True):
        assert torch.equal(ours, expected)


@pytest.mark.parametrize("name", ["adamw", "lookahead_radam"])
def test_decoupled_decay_spares_biases_and_norms(name):
    module = model()
    optimizer = make_optimizer(module, TrainerConfig(optimizer=name, weight_decay=0.1))
    decay = {
        id(parameter): group["weight_decay"]
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    found = {key: decay[id(parameter)] for key, parameter in module.named_parameters()}
    assert found == {
        "0.weight": 0.1,
        "0.bias": 0.0,
        "1.weight": 0.0,
        "1.bias": 0.0,
        "2.weight": 0.1,
        "2.bias": 0.0,
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_frozen_parameters_are_left_out(name):
    module = model()
    module[0].weight.requires_grad_(False)
    optimizer = make_optimizer(module, TrainerConfig(optimizer=name))
    held = [p for group in optimizer.param_groups for p in group["params"]]
    assert all(p is not module[0].weight for p in held)
    assert len(held) == 5
