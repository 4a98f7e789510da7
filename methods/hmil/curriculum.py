"""Weights that move the loss from the root of the tree to its leaves during training."""

from __future__ import annotations

import math
from typing import Literal

Curriculum = Literal["linear", "quadratic", "constant"]


def beta(curriculum: Curriculum, progress: float) -> float:
    """Weight of the coarse terms at ``progress = e / E``.

    ``linear`` is the paper's ``1 - e/E``, ``quadratic`` the released code's ``1 - (e/E)^2``, and
    ``constant`` is 0.5, the average of the linear one.
    """
    if curriculum == "constant":
        return 0.5
    return 1.0 - progress ** (1 if curriculum == "linear" else 2)


def level_weights(curriculum: Curriculum, progress: float, n_levels: int) -> list[float]:
    """Weight of every level's terms, top level first; the last level always weighs 1.

    Level ``i`` of ``L`` fades to zero at ``progress = (i + 1) / (L - 1)``: the root first, then
    its children. Two levels give the paper's ``[beta, 1]``.
    """
    fading = (min(1.0, progress * (n_levels - 1) / (1 + i)) for i in range(n_levels - 1))
    return [*(beta(curriculum, p) for p in fading), 1.0]


def released_temperature(progress: float) -> float:
    """Temperature of the released code: 1.0 at the start, 0.1 half-way, 1.0 again at the end."""
    return 0.45 * (1.0 + math.cos(2.0 * math.pi * progress)) + 0.1
