"""The two alignments of neighbouring levels (Jin et al., IEEE TMI 2025).

``membership`` is the ``(K_lower, K_upper)`` 0/1 matrix of a level and the level above it.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from mil_bench.nn.segment import segment_mean, segment_sum

Axis = Literal["instances", "classes"]


def instance_alignment(
    upper: Tensor, lower: Tensor, membership: Tensor, offsets: Tensor, axis: Axis
) -> Tensor:
    """Hierarchical attention matching ``L_ia``: one minus the cosine, averaged over the batch.

    ``upper`` ``(sum N, K_upper)`` and ``lower`` ``(sum N, K_lower)`` are attention weights; the
    children's attention is summed per parent. With ``axis="instances"`` the cosine compares the
    two attention maps of each upper class over the instances of a bag (mean over classes and
    bags). With ``axis="classes"`` it compares the class profiles of each instance (mean over the
    instances of a bag, then over bags).
    """
    summed = lower @ membership
    if axis == "classes":
        similarity = F.cosine_similarity(upper, summed, dim=1, eps=1e-8).unsqueeze(1)
        return (1.0 - segment_mean(similarity, offsets)).mean()
    dot = segment_sum(upper * summed, offsets)
    norms = segment_sum(upper.square(), offsets) * segment_sum(summed.square(), offsets)
    return (1.0 - dot * norms.rsqrt()).mean()


def summed_log_probabilities(logits: Tensor, membership: Tensor) -> Tensor:
    """``(B, K_upper)``: log of the softmax probabilities summed over each class's children."""
    log_p = logits.log_softmax(-1).unsqueeze(-1)
    return torch.where(membership > 0, log_p, -torch.inf).logsumexp(1)


def bag_alignment_scores(
    logits: Tensor, membership: Tensor, form: Literal["nll", "double_softmax"]
) -> Tensor:
    """``(B, K_upper)``: what cross entropy with the upper label turns into ``L_ba``.

    ``nll`` gives log-probabilities, so that cross entropy is the paper's ``-log p~[y]``.
    ``double_softmax`` gives the probabilities themselves, which the released code takes for
    logits; its minimum is not zero (0.551 for three classes).
    """
    log_p = summed_log_probabilities(logits, membership)
    return log_p if form == "nll" else log_p.exp()
