"""The types in which layers compute, and the cross entropy of every method."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.nn import functional as F


def compute_dtype(x: Tensor) -> torch.dtype:
    """Return the type of autocast on the device of ``x``, or of ``x`` itself outside autocast.

    Layers with a hand-written backward pass cast to it explicitly, inside :func:`as_written`:
    autocast does not reach into the backward of a ``torch.autograd.Function``.
    """
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


def as_written(x: Tensor) -> AbstractContextManager[object]:
    """Run operations on the device of ``x`` in the types of their operands, without autocast."""
    return torch.autocast(x.device.type, enabled=False)


def full_precision(x: Tensor) -> Tensor:
    """Return ``x`` in float32 or a wider type."""
    return x.float() if x.dtype.itemsize < 4 else x


# Cross entropy with weights of classes, as every method of the package means it.


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Average the cross entropy of ``(B, K)`` with ``(B,)`` over bags; ``weight`` is ``(K,)``.

    The weighted sum is divided by the number of bags, not by the sum of their weights: the latter
    would cancel the weight of a batch of one bag.
    """
    logits = full_precision(logits)  # in bfloat16 a small loss would be 0
    if weight is not None:
        weight = weight.to(logits)
    return F.cross_entropy(logits, target, weight, reduction="sum") / len(target)


def mean_over_bags(losses: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Average ``(B,)`` losses, weighted by class in ``target`` as :func:`cross_entropy` does."""
    if weight is not None:
        losses = losses * weight.to(losses)[target]
    return losses.mean()
