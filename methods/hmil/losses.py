"""Losses of HMIL (Jin et al., IEEE TMI 2025): alignment of levels, contrast, curriculum.

``membership`` is the ``(K_lower, K_upper)`` 0/1 matrix of a level and the level above it.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mil_bench.nn.segment import segment_mean, segment_sum

AlignmentAxis = Literal["instances", "classes"]


def instance_alignment(
    upper: Tensor, lower: Tensor, membership: Tensor, offsets: Tensor, axis: AlignmentAxis
) -> Tensor:
    """Return the hierarchical attention matching ``L_ia``, one minus the cosine, mean over bags.


    ``upper`` ``(sum N, K_upper)`` and ``lower`` ``(sum N, K_lower)`` are attention weights; the
    children's attention is summed per parent. With ``axis="instances"`` the cosine compares the
    two attention maps of each upper class over the instances of a bag (mean over classes and
    bags). With ``axis="classes"`` it compares the class profiles of each instance (mean over the
    instances of a bag, then over bags).
    """
    summed = lower @ membership  # (sum N, K_upper): attention of the children
    if axis == "classes":
        # torch's eps, as released.
        similarity = F.cosine_similarity(upper, summed, dim=1, eps=1e-8).unsqueeze(1)
        return (1.0 - segment_mean(similarity, offsets)).mean()
    dot = segment_sum(upper * summed, offsets)  # (B, K_upper)
    norms = segment_sum(upper.square(), offsets) * segment_sum(summed.square(), offsets)
    # Attention sums to one in every bag, so no norm is zero.
    return (1.0 - dot * norms.rsqrt()).mean()


def summed_log_probabilities(logits: Tensor, membership: Tensor) -> Tensor:
    """Return the log of the softmax probabilities summed over children, ``(B, K_upper)``."""
    log_p = logits.log_softmax(-1).unsqueeze(-1)  # (B, K_lower, 1)
    # Other classes' children add exp(-inf) = 0.
    return torch.where(membership > 0, log_p, -torch.inf).logsumexp(1)


def bag_alignment_scores(
    logits: Tensor, membership: Tensor, form: Literal["nll", "double_softmax"]
) -> Tensor:
    """Return ``(B, K_upper)`` scores whose cross entropy with the upper label is ``L_ba``.

    ``nll`` gives log-probabilities, so that cross entropy is the paper's ``-log p~[y]``.
    ``double_softmax`` gives the probabilities themselves, which the released code takes for
    logits; its minimum is not zero (0.551 for three classes).
    """
    log_p = summed_log_probabilities(logits, membership)
    return log_p if form == "nll" else log_p.exp()


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
    """Return ``L_con``, the supervised contrastive loss (Khosla et al., NeurIPS 2020, eq. 2).

    Mean over anchors of ``-mean_{p in positives} log softmax(f_a . f_b / temperature)[p]``.

    ``features``  ``(B, V, D)`` l2-normalised, ``V`` views of each item
    ``labels``    ``(B,)``; items of one label attract each other. ``None``: only views of one item
    ``anchors``   every view, or the first view of each item (``one``)
    ``epsilon``   stabiliser inside the logarithm (relative to the largest term) and in the mean
                  over positives; 0 is Khosla's equation 2

    The softmax leaves out the anchor itself. An anchor without positives contributes zero.
    """
    n_items, n_views, _ = features.shape
    if n_items * n_views < 2:
        return features.sum() * 0.0  # zero, with a gradient
    items = torch.arange(n_items, device=features.device)
    identity = items if labels is None else labels
    # (V * B, D), view after view as in the released code
    contrast = features.transpose(0, 1).flatten(0, 1)
    n_anchors = n_items if anchors == "one" else n_items * n_views

    scores = contrast[:n_anchors] @ contrast.T / temperature
    itself = torch.eye(len(contrast), dtype=torch.bool, device=features.device)[:n_anchors]
    same = (identity[:, None] == identity).repeat(n_anchors // n_items, n_views)  # (anchors, V * B)
    positives = (same & ~itself).to(scores.dtype)

    # All but the anchor.
    normaliser = scores.masked_fill(itself, -torch.inf).logsumexp(1, keepdim=True)
    if epsilon:
        # The code subtracts the largest score before it adds epsilon, so epsilon is relative to it.
        peak = scores.detach().amax(1, keepdim=True)
        normaliser = torch.logaddexp(normaliser, peak + math.log(epsilon))
    count = positives.sum(1)
    # No positives: zero.
    log_likelihood = (positives * (scores - normaliser)).sum(1) / (count.clamp(min=1) + epsilon)
    return -log_likelihood.mean()


def released_supcon(
    features: Tensor,
    labels: Tensor | None,
    temperature: float,
    *,
    anchors: Literal["all", "one"] = "all",
) -> Tensor:
    """Compute :func:`supcon` as in the released code.

    Stabilised, and scaled by ``temperature / 0.1``.
    The released training loop divides the result by the batch size once more.
    """
    loss = supcon(features, labels, temperature, anchors=anchors, epsilon=RELEASED_EPSILON)
    return loss * (temperature / RELEASED_BASE_TEMPERATURE)


Curriculum = Literal["linear", "quadratic", "constant"]


def beta(curriculum: Curriculum, progress: float) -> float:
    """Return the weight of the coarse terms at ``progress = e / E``.

    It moves the loss to the leaves.

    ``linear`` is the paper's ``1 - e/E``, ``quadratic`` the released code's ``1 - (e/E)^2``, and
    ``constant`` is 0.5, the average of the linear one.
    """
    if curriculum == "constant":
        return 0.5
    return 1.0 - progress ** (1 if curriculum == "linear" else 2)


def level_weights(curriculum: Curriculum, progress: float, n_levels: int) -> list[float]:
    """Return the weight of every level's terms, top level first; the last always weighs 1.

    Level ``i`` of ``L`` fades to zero at ``progress = (i + 1) / (L - 1)``: the root first, then
    its children. Two levels give the paper's ``[beta, 1]``.
    """
    fading = (min(1.0, progress * (n_levels - 1) / (1 + i)) for i in range(n_levels - 1))
    return [*(beta(curriculum, p) for p in fading), 1.0]


def released_temperature(progress: float) -> float:
    """Return the temperature of the released code: 1.0 at the start and end, 0.1 half-way."""
    return 0.45 * (1.0 + math.cos(2.0 * math.pi * progress)) + 0.1  # a full period of the cosine
