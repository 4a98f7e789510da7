"""Layers over more instances than fit: part by part, computed again for the gradient.

The rule for bags and batches beyond a budget. Every instance is used. Above :data:`KEPT_ROWS` rows
a layer wrapped in :func:`by_parts` keeps only its output, and recomputes the rest for its gradient
(Chen et al., 2016). Results are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mil_bench.nn.stock import computed_by

KEPT_ROWS: Final = 1 << 18  # 512 MiB of float32 per 512 hidden units


def _part_by_part(layer: Callable[[Tensor], Tensor], x: Tensor, rows: int | None = None) -> Tensor:
    rows = KEPT_ROWS if rows is None else rows
    if len(x) <= rows:
        return layer(x)
    parts = torch.split(x, rows)
    if not torch.is_grad_enabled():
        return torch.cat([layer(part) for part in parts])
    return torch.cat([checkpoint(layer, part, use_reentrant=False) for part in parts])


@computed_by(_part_by_part)
def by_parts(layer: Callable[[Tensor], Tensor], x: Tensor, rows: int | None = None) -> Tensor:
    """Return ``layer(x)`` for a layer that treats every row separately, ``rows`` rows at a time."""
    return layer(x)
