"""Features that are never computed against the same features computed."""

from __future__ import annotations

import pytest
import torch
from ragged import numbers
from torch import nn

from mil_bench.nn.layers import Affine, AttentionNet, Projection, as_affine

READERS = {
    "projection": lambda: Projection(9, 4),
    "gated attention": lambda: AttentionNet(9, 3, 2),
    "plain attention": lambda: AttentionNet(9, 3, 2, gated=False),
}


def chain() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 7), nn.Linear(7, 9)).double()


@pytest.mark.parametrize("name", READERS)
def test_a_reader_of_two_linear_maps_has_their_values_and_gradients(name):
    maps, reader, x = chain(), READERS[name]().double(), numbers(6, 4)
    leaves = [x, *maps.parameters(), *reader.parameters()]
    folded = reader(Affine(x).then(maps[0]).then(maps[1]))
    literal = reader(maps(x))
    torch.testing.assert_close(folded, literal, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(literal)
    found = torch.autograd.grad((folded * weights).sum(), leaves)
    wanted = torch.autograd.grad((literal * weights).sum(), leaves)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-12)


def test_the_mean_of_mapped_instances_is_the_mapped_mean():
    maps, x = chain(), numbers(6, 4)
    weights = torch.softmax(numbers(6, 3), 0)
    pooled = Affine(x).then(maps[0]).then(maps[1]).of_mean(weights.T @ x)
    torch.testing.assert_close(pooled, weights.T @ maps(x), rtol=1e-12, atol=1e-12)


def test_without_a_map_nothing_is_multiplied():
    x = numbers(6, 4)
    same = as_affine(x)
    layer = nn.Linear(4, 2)
    assert same.x is x
    assert same.of_mean(x) is x
    assert same.folded(layer.weight, layer.bias) == (layer.weight, layer.bias)
    assert as_affine(same) is same


def test_weights_are_folded_in_float32_under_autocast():
    maps, reader = chain().float(), AttentionNet(9, 3, 2)
    mapped = Affine(torch.randn(70, 4).bfloat16()).then(maps[0])
    with torch.autocast("cpu", torch.bfloat16):
        weight, bias = mapped.then(maps[1]).folded(reader.value.weight, reader.value.bias)
    exact = reader.value.weight.double() @ maps[1].weight.double() @ maps[0].weight.double()
    assert weight.dtype == bias.dtype == torch.float32
    torch.testing.assert_close(weight.double(), exact, rtol=1e-5, atol=1e-6)
