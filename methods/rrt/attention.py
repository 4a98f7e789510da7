"""The two attentions of RRT-MIL (Tang et al., CVPR 2024, section 3.2 and 3.3)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.methods.rrt.regions import by_regions
from mil_bench.nn.depthwise import depthwise
from mil_bench.nn.dropout import Dropout

CROSS_REGIONS = 8  # per side, whatever R-MSA uses


class SelfAttention(nn.Module):
    """Multi-head self-attention within sequences of equal length, with position encoding or not.

    EPEG adds to the logits their own convolution along the queries. Logits are linear in the
    queries, so the queries are convolved instead and no logit is ever stored. The bias of that
    convolution is the same for all keys and cancels in the softmax; there is none here.
    """

    def __init__(self, dim: int, heads: int, dropout: float, epeg: int | None = None) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.dropout = Dropout(dropout)
        self.epeg = nn.Conv2d(heads, heads, (epeg, 1), groups=heads, bias=False) if epeg else None

    def forward(self, x: Tensor) -> Tensor:
        """``(count, n, dim)`` -> the same shape."""
        q, k, v = self.qkv(x).chunk(3, -1)
        if self.epeg is not None:
            taps = self.epeg.weight.repeat_interleave(x.shape[-1] // self.heads, 0)
            q = q + depthwise(q.unsqueeze(2), taps).squeeze(2).to(q.dtype)
        heads = [part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (q, k, v)]
        mixed = F.scaled_dot_product_attention(*heads)
        rows: Tensor = self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        return rows


class RegionLayer(nn.Module):
    """``x + R-MSA(norm(x))``: attention within each of ``regions x regions`` squares."""

    def __init__(
        self, dim: int, heads: int, dropout: float, epeg: int | None, regions: int
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, heads, dropout, epeg)
        self.regions = regions

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Packed rows ``(sum N, dim)`` -> the same shape."""
        return x + by_regions(self.attend, self.norm(x), sizes, self.regions)

    def attend(self, tiles: Tensor) -> Tensor:
        """``(count, g^2, p, dim)`` -> the same shape."""
        rows: Tensor = self.attention(tiles.flatten(0, 1))
        return rows.view(tiles.shape)


class CrossRegionLayer(nn.Module):
    """``x + CR-MSA(norm(x))``: ``k`` representatives per region attend to those of all regions.

    With routing logits ``phi``, a representative is the mean over its region weighted by the
    softmax over positions; what it has learned goes back to a position weighted by the softmax
    over representatives times the min-max scaled logit.
    """

    def __init__(self, dim: int, heads: int, dropout: float, k: int, mlp: bool) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.attention = SelfAttention(dim, heads, dropout)
        self.phi: nn.Parameter | nn.Sequential
        if mlp:
            self.phi = nn.Sequential(
                nn.Linear(dim, dim // 4, bias=False), nn.Tanh(), nn.Linear(dim // 4, k, bias=False)
            )
        else:
            self.phi = nn.Parameter(torch.empty(dim, k))
            nn.init.kaiming_uniform_(self.phi, a=math.sqrt(5))

    def forward(self, x: Tensor, sizes: Sequence[int]) -> Tensor:
        """Packed rows ``(sum N, dim)`` -> the same shape."""
        return x + by_regions(self.attend, self.norm(x), sizes, CROSS_REGIONS)

    def attend(self, tiles: Tensor) -> Tensor:
        """``(count, g^2, p, dim)`` -> the same shape."""
        phi = self.phi
        logits = phi(tiles) if isinstance(phi, nn.Module) else tiles @ phi  # (count, g^2, p, k)
        means = logits.softmax(2).mT @ tiles  # (count, g^2, k, dim)
        across = self.attention(means.transpose(1, 2).flatten(0, 1))  # (count * k, g^2, dim)
        across = across.unflatten(0, (len(tiles), -1)).transpose(1, 2)
        low, high = logits.amin(2, keepdim=True), logits.amax(2, keepdim=True)
        back = (logits - low) / (high - low + 1e-8) * logits.softmax(3)
        rows: Tensor = back.to(across.dtype) @ across
        return rows
