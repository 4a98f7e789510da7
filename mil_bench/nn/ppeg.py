"""Pyramid position encoding of a square grid of tokens (Shao et al., NeurIPS 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PPEG(nn.Module):
    """``x + conv7(x) + conv5(x) + conv3(x)``, depthwise, on each sequence folded row by row.

    The three kernels are summed into one 7 x 7 kernel before the convolution, which is the same
    function at a third of the work. The class token in front of a sequence passes unchanged.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv7, self.conv5, self.conv3 = (
            nn.Conv2d(dim, dim, size, padding=size // 2, groups=dim) for size in (7, 5, 3)
        )

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Packed sequences of ``1 + S^2`` rows each, ``(sum n, dim)`` -> the same shape."""
        weight = (
            self.conv7.weight
            + F.pad(self.conv5.weight, [1] * 4)
            + F.pad(self.conv3.weight, [2] * 4)
        )
        convs = (self.conv7, self.conv5, self.conv3)
        bias = torch.stack([conv.get_parameter("bias") for conv in convs]).sum(0)
        rows = []
        for one in x.split_with_sizes(list(sizes)):
            token, patches = one[:1], one[1:]
            side = isqrt(len(patches))
            grid = patches.T.reshape(1, -1, side, side)
            grid = F.conv2d(grid, weight, bias, padding=3, groups=len(weight))
            rows += [token, patches + grid[0].flatten(1).T]
        return torch.cat(rows)
