"""Lookahead around RAdam against the loop over parameters that papers publish."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from benchmarks.plain.transmil import PlainLookaheadRAdam
from mil_bench.contract.spec import TrainerConfig
from mil_bench.training.optimizers import make_optimizer


def trained(
    dtype: torch.dtype, steps: int, lr: float, decay: float, *, plain: bool
) -> list[Tensor]:
    """The weights after every step."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4), nn.Linear(4, 2)).to(dtype)
    config = TrainerConfig(optimizer="lookahead_radam", lr=lr, weight_decay=decay)
    optimizer = make_optimizer(module, config)
    if plain:
        groups = [
            {"params": g["params"], "weight_decay": g["weight_decay"]}
            for g in optimizer.param_groups
        ]
        optimizer = PlainLookaheadRAdam(groups, lr=lr)
    path = []
    for step in range(steps):
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(step)).to(dtype)
        optimizer.zero_grad()
        module(x).square().sum().backward()
        optimizer.step()
        path.append(torch.cat([p.detach().flatten() for p in module.parameters()]))
    return path


@pytest.mark.parametrize(("lr", "decay"), [(1e-2, 0.0), (1e-3, 0.3)])
def test_a_fused_step_is_the_published_one(lr, decay):
    ours, plain = (trained(torch.float64, 40, lr, decay, plain=p) for p in (False, True))
    for got, expected in zip(ours, plain, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-11, atol=1e-13)


def test_a_fused_step_is_the_published_one_in_float32():
    ours, plain = (trained(torch.float32, 40, 1e-3, 0.1, plain=p) for p in (False, True))
    for got, expected in zip(ours, plain, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_the_rate_and_the_decay_are_left_as_they_were():
    module = nn.Linear(2, 2)
    config = TrainerConfig(optimizer="lookahead_radam", lr=0.1, weight_decay=0.2)
    optimizer = make_optimizer(module, config)
    for _ in range(8):
        module(torch.ones(1, 2)).sum().backward()
        optimizer.step()
    assert [g["lr"] for g in optimizer.param_groups] == [0.1, 0.1]
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.2, 0.0]
    assert {g["eps"] for g in optimizer.param_groups} == {1e-8}
