"""Cross entropy with weights of classes, as every method of the package means it."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from mil_bench.nn.casting import full_precision


def cross_entropy(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over bags of the cross entropy of ``(B, K)`` with ``(B,)``; ``weight`` is ``(K,)``.

    The weighted sum is divided by the number of bags, not by the sum of their weights: the latter
    would cancel the weight of a batch of one bag.
    """
    logits = full_precision(logits)
    if weight is not None:
        weight = weight.to(logits)
    return F.cross_entropy(logits, target, weight, reduction="sum") / len(target)


def mean_over_bags(losses: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of ``(B,)``, each weighted by its class in ``target`` as :func:`cross_entropy` does."""
    if weight is not None:
        losses = losses * weight.to(losses)[target]
    return losses.mean()
