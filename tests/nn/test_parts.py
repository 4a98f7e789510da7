"""Layers computed part by part are the same layers."""

from __future__ import annotations

import pytest
import torch
from ragged import numbers

from mil_bench.nn import sequences as parts
from mil_bench.nn.layers import AttentionNet
from mil_bench.nn.sequences import by_parts


@pytest.mark.parametrize("rows", [1, 7, 20, 21, 30])
def test_outputs_and_gradients_do_not_depend_on_the_parts(rows):
    torch.manual_seed(0)
    layer = AttentionNet(5, 4, 2).double()
    x = numbers(21, 5)
    got, expected = by_parts(layer, x, rows), layer(x)
    torch.testing.assert_close(got, expected)
    inputs = [x, *layer.parameters()]
    for one, other in zip(
        torch.autograd.grad(got.square().sum(), inputs),
        torch.autograd.grad(expected.square().sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(one, other)
    with torch.no_grad():
        torch.testing.assert_close(by_parts(layer, x, rows), expected)


def test_dropout_draws_the_same_mask_when_a_part_is_computed_again():
    layer = AttentionNet(4, 3, 1, dropout=0.4).double()
    x = numbers(9, 4)

    def run(x):
        torch.manual_seed(1)
        return by_parts(layer, x, 4)

    assert torch.autograd.gradcheck(run, (x,))


def test_beyond_the_budget_only_the_output_is_kept(monkeypatch):
    layer = AttentionNet(6, 50, 1)
    x = torch.randn(64, 6)
    sizes = []

    def note(tensor):
        sizes.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        layer(x)
    assert max(sizes) == 64 * 100  # tanh and sigmoid of every row
    sizes.clear()
    monkeypatch.setattr(parts, "KEPT_ROWS", 16)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
        layer(x)
    assert max(sizes, default=0) <= 64 * 6
