"""``--online adapter``: around any method, the same before the first step, trained with it."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest
import torch
from rich.console import Console
from run_requests import request, run_grid
from toy_grid import DIM, TREE

from mil_bench.base.taxonomy import LEAF
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.spec import AdapterTraining
from mil_bench.methods import METHODS
from mil_bench.runs.directory import run_directories
from mil_bench.training.checkpoint import seed_everything
from mil_bench.training.online.wrapped import Adapted

SIZES = (5, 7, 4, 9)
PROVIDED = [name for name in METHODS.names() if METHODS.get(name).__module__.startswith("mil_")]


def batch() -> BagBatch:
    drawn = torch.Generator().manual_seed(3)
    features = [torch.randn(n, 16, generator=drawn) for n in SIZES]
    coords = [torch.stack([torch.arange(n) * 1.0, torch.zeros(n)], 1) for n in SIZES]
    leaf = torch.tensor([0, 1, 2, 3])
    labels = {level: torch.from_numpy(TREE.ancestor_index(level))[leaf] for level in TREE.levels}
    return BagBatch.pack(features, coords, labels)


def method_of(name: str):
    cls = METHODS.get(name)
    seed_everything(0, 0)
    return cls(cls.Config(), 16, TREE)


@pytest.mark.parametrize("name", PROVIDED)
def test_before_the_first_step_a_method_predicts_as_without_adapter(name):
    plain, adapted = method_of(name).eval(), Adapted(method_of(name), 4).eval()
    with torch.inference_mode():
        expected, found = plain(batch()), adapted(batch())
    for level, logits in expected.logits.items():
        torch.testing.assert_close(found.logits[level], logits)


@pytest.mark.parametrize("name", PROVIDED)
def test_the_loss_of_every_method_reaches_the_adapter(name):
    adapted = Adapted(method_of(name), 4).train()
    torch.nn.init.normal_(adapted.up.weight)  # at zero, nothing behind it gets a gradient
    bags = batch()
    adapted.before_epoch(0.0)
    sum(adapted.loss(adapted(bags), bags, 0.0).values()).backward()
    for parameter in (adapted.down.weight, adapted.up.weight, adapted.up.bias):
        assert parameter.grad.abs().sum() > 0


def test_the_loss_sees_the_features_that_the_forward_pass_saw():
    adapted = Adapted(method_of("abmil"), 4)
    torch.nn.init.ones_(adapted.up.bias)
    seen = []
    adapted.inner.loss = lambda output, given, progress: seen.append(given.features) or {}
    bags = batch()
    adapted.loss(adapted(bags), bags, 0.0)
    torch.testing.assert_close(seen[0], bags.features + 1)


def test_facts_and_hooks_are_those_of_the_inner_method():
    inner = method_of("transmil")
    adapted = Adapted(inner, 4)
    assert adapted.order_dependent == inner.order_dependent
    assert adapted.attention_is_distribution == inner.attention_is_distribution
    calls = []
    inner.before_epoch = lambda progress: calls.append(("epoch", progress))
    inner.after_step = lambda progress: calls.append(("step", progress))
    inner.set_class_weights = lambda weights: calls.append(("weights", weights))
    adapted.before_epoch(0.25)
    adapted.after_step(0.5)
    adapted.set_class_weights({LEAF: torch.ones(4)})
    assert calls[:2] == [("epoch", 0.25), ("step", 0.5)]
    assert set(calls[2][1]) == {LEAF}


def test_a_run_with_an_adapter_differs_from_the_one_without_and_has_its_parameters(tmp_path):
    grid, machine = request(tmp_path / "runs")
    console = Console(quiet=True)
    assert not run_grid(grid, machine, console).failed
    assert not run_grid(replace(grid, online=AdapterTraining(adapter=4)), machine, console).failed
    found = {d.read_spec().online: d for d in run_directories(tmp_path / "runs")}
    plain, adapted = found[None], found[AdapterTraining(adapter=4)]
    more = adapted.read_result()["parameters"] - plain.read_result()["parameters"]
    assert more == 2 * 4 * DIM + 4 + DIM
    first, second = (pd.read_csv(d.predictions) for d in (plain, adapted))
    assert first["slide_id"].tolist() == second["slide_id"].tolist()
    assert not first.equals(second)
