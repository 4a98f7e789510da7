"""Depthwise convolution of channels-last images against PyTorch's in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from mil_bench.nn.sequences import depthwise


def literal(x: Tensor, taps: Tensor) -> Tensor:
    padding = (taps.shape[2] // 2, taps.shape[3] // 2)
    image = F.conv2d(x.permute(0, 3, 1, 2), taps, padding=padding, groups=len(taps))
    return image.permute(0, 2, 3, 1)


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (2, 4, 6, 3), (1, 9, 1, 2)])
@pytest.mark.parametrize("filters", [(7, 7), (3, 1)])
def test_value_and_gradients_are_those_of_the_convolution(shape, filters):
    torch.manual_seed(0)
    x = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    taps = torch.randn(shape[-1], 1, *filters, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(depthwise(x, taps), literal(x, taps))
    assert torch.autograd.gradcheck(depthwise, (x, taps))


@pytest.mark.parametrize("rows", [46, 226, 256, 901])
@pytest.mark.parametrize("count", [1, 2])
def test_float32_gradients_are_right_where_onednn_errs_in_another_memory_layout(rows, count):
    torch.manual_seed(rows)
    x, direction = (torch.randn(count, rows, 1, 12, dtype=torch.float64) for _ in range(2))
    taps = torch.randn(12, 1, 33, 1, dtype=torch.float64, requires_grad=True)
    (exact,) = torch.autograd.grad((literal(x, taps) * direction).sum(), taps)
    single = taps.detach().float().requires_grad_()
    loss = (depthwise(x.float(), single) * direction.float()).sum()
    (gradient,) = torch.autograd.grad(loss, single)
    torch.testing.assert_close(gradient.double(), exact, rtol=1e-4, atol=1e-3)
