"""Supervised contrastive loss (Khosla et al., NeurIPS 2020) on class-wise bag vectors."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

RELEASED_EPSILON = 1e-6
RELEASED_BASE_TEMPERATURE = 0.1


def supcon(
    features: Tensor,
    labels: Tensor | None,
    temperature: float,
    *,
    anchors: Literal["all", "one"] = "all",
    epsilon: float = 0.0,
) -> Tensor:
    """Mean over anchors of ``-mean_{p in positives} log softmax(f_a . f_b / temperature)[p]``.

    ``features``  ``(B, V, D)`` l2-normalised, ``V`` views of each item
    ``labels``    ``(B,)``; items of one label attract each other. ``None``: only views of one item
    ``anchors``   every view, or the first view of each item (``one``)
    ``epsilon``   stabiliser inside the logarithm (relative to the largest term) and in the mean
                  over positives; 0 is Khosla's equation 2

    The softmax leaves out the anchor itself. An anchor without positives contributes zero.
    """
    n_items, n_views, _ = features.shape
    if n_items * n_views < 2:
        return features.sum() * 0.0
    items = torch.arange(n_items, device=features.device)
    identity = items if labels is None else labels
    contrast = features.transpose(0, 1).flatten(0, 1)
    n_anchors = n_items if anchors == "one" else n_items * n_views

    scores = contrast[:n_anchors] @ contrast.T / temperature
    itself = torch.eye(len(contrast), dtype=torch.bool, device=features.device)[:n_anchors]
    same = (identity[:, None] == identity).repeat(n_anchors // n_items, n_views)
    positives = (same & ~itself).to(scores.dtype)

    normaliser = scores.masked_fill(itself, -torch.inf).logsumexp(1, keepdim=True)
    if epsilon:
        peak = scores.detach().amax(1, keepdim=True)
        normaliser = torch.logaddexp(normaliser, peak + math.log(epsilon))
    count = positives.sum(1)
    log_likelihood = (positives * (scores - normaliser)).sum(1) / (count.clamp(min=1) + epsilon)
    return -log_likelihood.mean()


def released_supcon(
    features: Tensor,
    labels: Tensor | None,
    temperature: float,
    *,
    anchors: Literal["all", "one"] = "all",
) -> Tensor:
    """:func:`supcon` as in the released code: stabilised, and scaled by ``temperature / 0.1``.

    The released training loop divides the result by the batch size once more.
    """
    loss = supcon(features, labels, temperature, anchors=anchors, epsilon=RELEASED_EPSILON)
    return loss * (temperature / RELEASED_BASE_TEMPERATURE)
