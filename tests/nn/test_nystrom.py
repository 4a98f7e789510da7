"""Nystrom attention without padded rows against the literal padded form."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from parity.transmil import padded
from torch import nn

from mil_bench.methods.transmil import PPEG
from mil_bench.nn.nystrom import NystromAttention


def attention(landmarks: int) -> NystromAttention:
    torch.manual_seed(landmarks)
    module = NystromAttention(12, heads=3, landmarks=landmarks).double()
    nn.init.normal_(module.qkv.weight, std=0.5)
    return module


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(1, 70), min_size=1, max_size=4), landmarks=st.integers(1, 24))
def test_packing_and_leaving_out_the_padding_change_neither_output_nor_gradient(sizes, landmarks):
    module = attention(landmarks)
    literal = padded(module)
    x = torch.randn(sum(sizes), 12, dtype=torch.float64)
    direction = torch.randn(sum(sizes), 12, dtype=torch.float64)
    results = []
    for form in (module, literal):
        out, (rows, attentions) = form(x, sizes), form.first_rows(x, sizes)
        weights = torch.cat(attentions, 1)
        loss = (out * direction).sum() + rows.sum() + weights.square().sum()
        results.append((out, rows, weights, *torch.autograd.grad(loss, [*module.parameters()])))
    for ours, expected in zip(*results, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("side", [1, 2, 3, 8])
def test_one_summed_kernel_is_the_sum_of_the_three_convolutions(side):
    torch.manual_seed(side)
    ppeg = PPEG(6).double()
    x = torch.randn(1 + side**2, 6, dtype=torch.float64)
    grid = x[1:].T.reshape(1, 6, side, side)
    expected = grid + ppeg.conv7(grid) + ppeg.conv5(grid) + ppeg.conv3(grid)
    out = ppeg(x, [len(x)])
    torch.testing.assert_close(out[1:], expected[0].flatten(1).T)
    assert torch.equal(out[0], x[0])
