"""Layers with a backward pass of their own against the same layers of torch."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from ragged import in_roomy_memory, numbers
from torch import Tensor, nn

from mil_bench.nn.layers import AttentionNet, Projection


class Naive(nn.Module):
    """The attention network as the papers write it, on the parameters of ours."""

    def __init__(self, ours: AttentionNet) -> None:
        super().__init__()
        twin = copy.deepcopy(ours)
        self.value, self.gate, self.score = twin.value, twin.gate, twin.score

    def forward(self, h: Tensor) -> Tensor:
        hidden = torch.tanh(self.value(h))
        if self.gate is not None:
            hidden = hidden * torch.sigmoid(self.gate(h))
        return self.score(hidden)


def literal(layer: nn.Module) -> nn.Module:
    twin = copy.deepcopy(layer)
    return nn.Sequential(*twin) if isinstance(twin, nn.Sequential) else Naive(layer)


LAYERS = {
    "projection": lambda: Projection(5, 4),
    "gated attention": lambda: AttentionNet(5, 3, 2),
    "plain attention": lambda: AttentionNet(5, 3, 2, gated=False),
}


@pytest.mark.parametrize("name", LAYERS)
@settings(max_examples=15, deadline=None)
@given(rows=st.one_of(st.integers(1, 8), st.integers(60, 70)), roomy=st.booleans())
def test_outputs_and_gradients_are_those_of_torch(name, rows, roomy):
    torch.manual_seed(rows)
    ours = LAYERS[name]().double()
    theirs = literal(ours)
    x = numbers(rows, 5)
    mine = in_roomy_memory(x) if roomy else x
    weights = numbers(rows, ours(x).shape[1], seed=2).detach()
    results = []
    for layer, rows_in in ((ours, mine), (theirs, x)):
        out = layer(rows_in)
        gradients = torch.autograd.grad((out * weights).sum(), [rows_in, *layer.parameters()])
        results.append((out, *gradients))
    for got, expected in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_gradients_pass_gradcheck_and_features_without_gradient_cost_none(name):
    torch.manual_seed(3)
    layer = LAYERS[name]().double()
    x = numbers(7, 5)
    parameters = tuple(layer.parameters())

    def run(x: Tensor, *_: Tensor) -> Tensor:
        return layer(x)

    assert torch.autograd.gradcheck(run, (x, *parameters))
    assert torch.autograd.gradcheck(run, (x.detach(), *parameters))


@pytest.mark.parametrize("name", LAYERS)
def test_bfloat16_stays_close_to_float32_and_master_weights_get_float32_gradients(name):
    torch.manual_seed(4)
    layer = LAYERS[name]()
    x = torch.randn(130, 5)
    exact = layer(x)
    wanted = torch.autograd.grad(exact.square().sum(), [*layer.parameters()])
    with torch.autocast("cpu", torch.bfloat16):
        rounded = layer(x.bfloat16())
    found = torch.autograd.grad(rounded.float().square().sum(), [*layer.parameters()])
    assert (rounded.float() - exact).norm() < 0.02 * exact.norm()
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        assert (one - other).norm() < 0.03 * other.norm() + 1e-3


def test_dropout_of_a_projection_keeps_the_mean_and_its_gradient_only_where_kept():
    torch.manual_seed(5)
    layer = Projection(4, 6, dropout=0.25).double()
    x = torch.rand(20_000, 4, dtype=torch.float64)
    full = layer.eval()(x)
    dropped = layer.train()(x)
    kept = dropped != 0
    torch.testing.assert_close(dropped[kept], (full / 0.75)[kept])
    positive = full > 0
    assert abs(kept[positive].double().mean() - 0.75) < 0.01
    (gradient,) = torch.autograd.grad(dropped.sum(), layer[0].bias)
    torch.testing.assert_close(gradient, kept.double().sum(0) / 0.75)


def test_dropout_of_attention_has_the_mean_and_variance_of_two_independent_dropouts():
    torch.manual_seed(6)
    layer = AttentionNet(3, 1, 1, dropout=0.25).double()
    h = torch.randn(1, 3, dtype=torch.float64).expand(100_000, 3).contiguous()
    product = (layer.eval()(h) - layer.score.bias)[0].item()
    scores = (layer.train()(h) - layer.score.bias).flatten()
    keep = 0.75**2
    assert scores.mean().item() == pytest.approx(product, rel=0.02)
    assert scores.var().item() == pytest.approx(product**2 * (1 / keep - 1), rel=0.03)


def test_the_gradient_under_dropout_is_that_of_the_function_drawn():
    layer = AttentionNet(4, 5, 2, dropout=0.3).double()
    h = numbers(6, 4)

    def run(h: Tensor, *_: Tensor) -> Tensor:
        torch.manual_seed(7)
        return layer(h)

    assert torch.autograd.gradcheck(run, (h, *layer.parameters()))
