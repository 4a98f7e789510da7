"""The symmetric iteration against the published one, and its hand-written gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from mil_bench.nn.nystrom import inverse_times, projection_times


def published(a: Tensor, c: Tensor, iterations: int) -> Tensor:
    z = c * a.mT
    one = torch.eye(a.shape[-1], dtype=a.dtype)
    for _ in range(iterations):
        az = a @ z
        z = z @ (13 * one - az @ (15 * one - az @ (7 * one - az))) / 4
    return z


def problem(r: int, columns: int, sharpness: float) -> tuple[Tensor, Tensor, Tensor]:
    """A row-stochastic matrix, its initial scale, and a block."""
    torch.manual_seed(r)
    a = (torch.randn(2, r, r, dtype=torch.float64) * sharpness).softmax(-1)
    a[:, r // 2 :] = a[:, : r - r // 2].clone()  # copies of tokens make it singular
    return a, 1 / a.sum(1).amax(1)[:, None, None], torch.randn(2, r, columns, dtype=torch.float64)


@pytest.mark.parametrize("sharpness", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("iterations", [1, 2, 6])
@pytest.mark.parametrize(("r", "columns"), [(1, 1), (9, 1), (30, 4)])
def test_the_iterates_are_the_published_ones(r, columns, iterations, sharpness):
    a, c, x = problem(r, columns, sharpness)
    z = published(a, c, iterations)
    k = a * c.sqrt()
    torch.testing.assert_close(projection_times(k, x, iterations), a @ z @ x)
    torch.testing.assert_close(c.sqrt() * k.mT @ inverse_times(k, x, iterations), z @ x)
    torch.testing.assert_close(c.sqrt() * inverse_times(k.mT, k.mT @ x, iterations), z @ x)


@pytest.mark.parametrize("function", [inverse_times, projection_times])
@pytest.mark.parametrize("iterations", [1, 2, 6])
def test_the_gradient_is_that_of_the_function(function, iterations):
    a, c, x = problem(6, 2, 1.0)
    k = (a * c.sqrt()).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda k, x: function(k, x, iterations), (k, x.requires_grad_())
    )


@pytest.mark.parametrize("function", [inverse_times, projection_times])
def test_float32_is_close_to_float64(function):
    a, c, x = problem(60, 8, 1.0)
    k, x = a * c.sqrt(), a @ x
    exact = function(k.mT, k.mT @ x, 6)
    single = function(k.float().mT, k.float().mT @ x.float(), 6)
    assert (single - exact).norm() < 1e-4 * exact.norm()
