"""Dropout from random bytes."""

from __future__ import annotations

import pytest
import torch

from mil_bench.nn.kernels.dropout import KeepMask
from mil_bench.nn.layers import Dropout

CPU = torch.device("cpu")


@pytest.mark.parametrize("p", [0.1, 0.25, 0.5, 0.9])
def test_the_share_dropped_and_the_scale_belong_together(p):
    torch.manual_seed(0)
    kept = KeepMask((400, 1000), 1 - p, CPU)
    share = kept.mask.double().mean().item()
    assert share == pytest.approx(1 - p, abs=0.004)
    assert kept.scale * share == pytest.approx(1, abs=0.01)
    assert set(kept.mask.unique().tolist()) == {0, 1}


def test_neighbours_columns_and_rows_are_independent():
    torch.manual_seed(1)
    mask = KeepMask((2000, 512), 0.75, CPU).mask.double() - 0.75
    limit = 5 * 0.1875 / (2000 * 512) ** 0.5  # five standard errors of a product's mean
    assert abs((mask[:, 1:] * mask[:, :-1]).mean()) < limit
    assert abs((mask[1:] * mask[:-1]).mean()) < limit
    assert abs((mask[:, 8:] * mask[:, :-8]).mean()) < limit


def test_the_gradient_is_the_mask_and_evaluation_passes_everything():
    torch.manual_seed(2)
    layer = Dropout(0.25)
    x = torch.ones(50, 7, requires_grad=True)
    out = layer(x)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(out.detach(), gradient)
    assert layer.eval()(x) is x


def test_the_same_seed_drops_the_same():
    masks = []
    for _ in range(2):
        torch.manual_seed(3)
        masks.append(KeepMask((33, 5), 0.5, CPU).mask)
    assert torch.equal(*masks)


def test_a_rate_close_to_nothing_or_everything_stays_finite():
    assert KeepMask((4, 4), 0.9999, CPU).mask.min() == 1
    assert KeepMask((4, 4), 0.0001, CPU).scale == 256
