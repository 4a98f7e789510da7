"""Pyramid position encoding of a square grid of tokens (Shao et al., NeurIPS 2021)."""

from __future__ import annotations

from math import isqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PPEG(nn.Module):
    """``x + conv7(x) + conv5(x) + conv3(x)``, depthwise, on the tokens folded row by row.

    The three kernels are summed into one 7 x 7 kernel before the convolution, which is the same
    function at a third of the work. The class token in front passes unchanged.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv7, self.conv5, self.conv3 = (
            nn.Conv2d(dim, dim, size, padding=size // 2, groups=dim) for size in (7, 5, 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(1 + S^2, dim)`` -> the same shape."""
        token, patches = x[:1], x[1:]
        side = isqrt(len(patches))
        grid = patches.T.reshape(1, -1, side, side)
        weight = (
            self.conv7.weight
            + F.pad(self.conv5.weight, [1] * 4)
            + F.pad(self.conv3.weight, [2] * 4)
        )
        convs = (self.conv7, self.conv5, self.conv3)
        bias = torch.stack([conv.get_parameter("bias") for conv in convs]).sum(0)
        grid = F.conv2d(grid, weight, bias, padding=3, groups=len(weight))
        return torch.cat([token, patches + grid[0].flatten(1).T])
