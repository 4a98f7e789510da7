"""Diagonal state spaces as long convolutions (Gu et al., S4D, NeurIPS 2022, arXiv:2206.11893)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.nn.casting import as_written, full_precision
from mil_bench.nn.sequences import equal_runs, pack

_STEP = (1e-3, 1e-1)  # of the discretisation, log-uniform over channels


class S4D(nn.Module):
    """``y = K * u + D u`` per channel, causal, then GELU and a gated linear layer.

    ``K_l = 2 Re sum_n C_n (exp(dt A_n) - 1) / A_n exp(l dt A_n)`` with ``states / 2`` complex
    states of which the conjugates are not kept; ``A_n = -1/2 + i pi n`` at the start (S4D-Lin).
    """

    def __init__(self, dim: int, states: int) -> None:
        super().__init__()
        pairs = states // 2
        low, high = math.log(_STEP[0]), math.log(_STEP[1])
        self.log_step = nn.Parameter(torch.rand(dim) * (high - low) + low)
        self.log_decay = nn.Parameter(torch.full((dim, pairs), math.log(0.5)))
        self.frequency = nn.Parameter(math.pi * torch.arange(pairs).float().repeat(dim, 1))
        # Real and imaginary part of a complex normal number of variance one.
        self.readout = nn.Parameter(torch.randn(dim, pairs, 2) / math.sqrt(2))
        self.skip = nn.Parameter(torch.randn(dim))
        self.out = nn.Linear(dim, 2 * dim)

    def forward(self, u: Tensor, sizes: Sequence[int]) -> Tensor:
        """Packed sequences ``(sum n, dim)`` -> the same shape, each computed alone."""
        with as_written(u):
            u = full_precision(u)
            kernel = self.kernel(max(sizes))
            runs = [convolved(run, kernel) for run in equal_runs(u, sizes)]
            y = F.gelu(pack(runs) + self.skip * u)
        rows: Tensor = F.glu(self.out(y), -1)
        return rows

    def kernel(self, length: int) -> Tensor:
        """``(length, dim)``: the impulse response.

        Powers of ``exp(dt A)`` are products of one within a block and one of whole blocks, so that
        no tensor of ``dim x states x length`` is made.
        """
        step = self.log_step.exp().unsqueeze(1)
        a = torch.complex(-self.log_decay.exp(), self.frequency)  # (dim, pairs)
        pole = a * step
        weight = torch.view_as_complex(self.readout) * (pole.exp() - 1) / a
        block = math.isqrt(length - 1) + 1
        places = torch.arange(block, device=pole.device)
        within = (pole.unsqueeze(2) * places).exp()  # (dim, pairs, block)
        starts = (weight.unsqueeze(2) * (pole.unsqueeze(2) * (places * block)).exp()).mT
        response: Tensor = 2 * (starts @ within).real  # (dim, block, block)
        return response.flatten(1)[:, :length].T


def convolved(u: Tensor, kernel: Tensor) -> Tensor:
    """Causal convolution of ``(count, n, dim)`` with ``(>= n, dim)`` along the sequence."""
    n = u.shape[1]
    spectrum = torch.fft.rfft(u, 2 * n, dim=1) * torch.fft.rfft(kernel[:n], 2 * n, dim=0)
    response: Tensor = torch.fft.irfft(spectrum, 2 * n, dim=1)
    return response[:, :n]
