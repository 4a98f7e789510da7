"""Packed rows for tests of layers: bags of given sizes with float64 numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

from mil_bench.contract.batch import BagBatch, padded_empty, with_padding

SIZES = st.lists(st.one_of(st.integers(1, 9), st.integers(60, 200)), min_size=1, max_size=7)


def packed(sizes: Sequence[int], dim: int, seed: int = 0) -> BagBatch:
    generator = torch.Generator().manual_seed(seed)
    bags = [torch.randn(n, dim, dtype=torch.float64, generator=generator) for n in sizes]
    return BagBatch.pack(bags)


def numbers(*shape: int, seed: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=torch.float64, generator=generator).requires_grad_()


def in_roomy_memory(x: Tensor) -> Tensor:
    """The same numbers in memory that ends at a whole block, numbers behind them."""
    room = padded_empty(len(x), x.shape[1], x.dtype, x.device)
    with_padding(room).fill_(3.0)
    return room.copy_(x.detach()).requires_grad_(x.requires_grad)
