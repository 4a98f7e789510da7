"""The state space layer against its recurrence and its plain formula."""

from __future__ import annotations

import pytest
import torch

from mil_bench.methods.s4mil import S4D, convolved


def layer(dim=3, states=6):
    torch.manual_seed(0)
    return S4D(dim, states).double()


@pytest.mark.parametrize("length", [1, 2, 3, 10, 100])
def test_the_kernel_is_the_formula_at_every_place(length):
    s4d = layer()
    a = torch.complex(-s4d.log_decay.exp(), s4d.frequency)
    step = s4d.log_step.exp().unsqueeze(1)
    c = torch.view_as_complex(s4d.readout) * ((a * step).exp() - 1) / a
    places = torch.arange(length)
    powers = (a * step).unsqueeze(2) * places  # (dim, pairs, length)
    expected = 2 * (c.unsqueeze(2) * powers.exp()).sum(1).real.T
    torch.testing.assert_close(s4d.kernel(length), expected)


def test_the_convolution_is_the_recurrence_of_the_discretised_system():
    s4d, n = layer(), 40
    u = torch.randn(n, 3, dtype=torch.float64)
    a = torch.complex(-s4d.log_decay.exp(), s4d.frequency)
    pole = (a * s4d.log_step.exp().unsqueeze(1)).exp()  # zero-order hold with B = 1
    b, c = (pole - 1) / a, torch.view_as_complex(s4d.readout)
    state = torch.zeros_like(pole)
    rows = []
    for x in u:
        state = pole * state + b * x.unsqueeze(1)
        rows.append(2 * (c * state).sum(1).real)
    torch.testing.assert_close(convolved(u[None], s4d.kernel(n))[0], torch.stack(rows))


def test_no_output_depends_on_what_comes_later_or_on_other_sequences():
    s4d = layer()
    u = torch.randn(30, 3, dtype=torch.float64)
    whole = s4d(u, [12, 18])
    torch.testing.assert_close(s4d(u[:7], [7]), whole[:7])
    torch.testing.assert_close(s4d(u[12:], [18]), whole[12:])


def test_the_kernel_starts_as_s4d_lin():
    s4d = S4D(64, 32)
    assert torch.equal(s4d.log_decay.exp(), torch.full((64, 16), 0.5))
    assert torch.equal(s4d.frequency[5], torch.pi * torch.arange(16).float())
    assert 1e-3 <= s4d.log_step.exp().min() < 1e-2 < s4d.log_step.exp().max() <= 0.1 + 1e-6
    assert s4d.readout.square().sum(2).mean().item() == pytest.approx(1, abs=0.15)
