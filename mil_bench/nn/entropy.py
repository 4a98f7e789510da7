"""Attention entropy as a term of the loss: a setting of methods with attention.

AEM (Zhang et al., MICCAI 2025, arXiv:2406.15303): attention that concentrates on a few patches
overfits the training slides. Maximising its entropy together with the cross entropy spreads it.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from mil_bench.base.config import tunable
from mil_bench.base.taxonomy import LEAF
from mil_bench.contract.batch import BagBatch
from mil_bench.contract.method import MethodConfig, Output
from mil_bench.contract.numerics import full_precision


class EntropyConfig(MethodConfig):
    """Base of the settings of a method with the term; weight 0 switches it off.

    ``entropy_weight`` is constant over training, as in the official code. With
    ``entropy_schedule="cosine"`` it falls to zero on half a cosine, as in the published paper.
    """

    entropy_weight: float = tunable(0.0, low=0.0, high=0.5, ge=0)
    entropy_schedule: Literal["constant", "cosine"] = "constant"


def entropy_term(
    config: EntropyConfig, output: Output, batch: BagBatch, progress: float
) -> dict[str, Tensor]:
    """Return the term ``entropy`` of a loss, or nothing if it is switched off.

    ``weight * sum_i a_i log a_i`` of the leaf attention, mean over its columns and the bags.
    """
    if config.entropy_weight == 0:
        return {}
    cosine = config.entropy_schedule == "cosine"
    # 1 at the start, 0 at the end.
    share = (1 + math.cos(math.pi * progress)) / 2 if cosine else 1.0
    attention = output.attention[LEAF]
    return {"entropy": config.entropy_weight * share * negative_entropy(attention, len(batch))}


def negative_entropy(attention: Tensor, bags: int) -> Tensor:
    """Return ``sum a log a`` of weights ``(sum N, K)`` that sum to one per bag.

    Averaged over the bags and ``K``.
    """
    weights = full_precision(attention)
    # A weight may underflow to zero, where the logarithm has no gradient and the entropy none.
    logarithms = weights.clamp(min=torch.finfo(weights.dtype).tiny).log()
    return (weights * logarithms).sum() / (bags * weights.shape[1])  # every bag has K columns
