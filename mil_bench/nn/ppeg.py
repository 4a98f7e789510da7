"""Pyramid position encoding of a square grid of tokens (Shao et al., NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.nn.depthwise import depthwise
from mil_bench.nn.sequences import equal_runs, pack


class PPEG(nn.Module):
    """``x + conv7(x) + conv5(x) + conv3(x)``, depthwise, on each sequence folded row by row.

    The three kernels and the identity are summed into one 7 x 7 kernel before the convolution,
    which is the same function at a third of the work. The class token in front of a sequence
    passes unchanged.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv7, self.conv5, self.conv3 = (
            nn.Conv2d(dim, dim, size, padding=size // 2, groups=dim) for size in (7, 5, 3)
        )

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Packed sequences of ``1 + S^2`` rows each, ``(sum n, dim)`` -> the same shape."""
        weight, bias = self.kernel()
        runs = []
        for one in equal_runs(x, sizes):
            token, patches = one.split_with_sizes([1, one.shape[1] - 1], 1)
            side = isqrt(patches.shape[1])
            grid = depthwise(patches.view(len(one), side, side, -1), weight) + bias
            runs.append(torch.cat([token, grid.flatten(1, 2)], 1))
        return pack(runs)

    def kernel(self) -> tuple[Tensor, Tensor]:
        """The sum of the four kernels, ``(dim, 1, 7, 7)``, and of the biases, ``(dim,)``."""
        weight = (
            self.conv7.weight
            + F.pad(self.conv5.weight, [1] * 4)
            + F.pad(self.conv3.weight, [2] * 4)
            + F.pad(self.conv7.weight.new_ones(1, 1, 1, 1), [3] * 4)
        )
        convs = (self.conv7, self.conv5, self.conv3)
        return weight, torch.stack([conv.get_parameter("bias") for conv in convs]).sum(0)
