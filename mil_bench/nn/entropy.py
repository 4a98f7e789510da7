"""Attention entropy as a term of the loss: a switch of methods with attention.

AEM (Zhang et al., MICCAI 2025, arXiv:2406.15303): attention that concentrates on a few patches of
the training slides has learned them by heart; its entropy, maximised beside the cross entropy,
keeps it spread.
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
    """Base of the configuration of a method with the switch; 0 is off.

    ``entropy_weight`` is constant over training, as in the official code, or falls to zero on half
    a cosine (``entropy_schedule``), for the cosine weight annealing of the published paper.
    """

    entropy_weight: float = tunable(0.0, low=0.0, high=0.5, ge=0)
    entropy_schedule: Literal["constant", "cosine"] = "constant"


def entropy_term(
    config: EntropyConfig, output: Output, batch: BagBatch, progress: float
) -> dict[str, Tensor]:
    """The term ``entropy`` of a loss, or nothing where it is switched off.

    ``sum_i a_i log a_i`` of the leaf attention, mean over its columns and the bags, times the
    weight.
    """
    if config.entropy_weight == 0:
        return {}
    cosine = config.entropy_schedule == "cosine"
    share = (1 + math.cos(math.pi * progress)) / 2 if cosine else 1.0
    attention = output.attention[LEAF]
    return {"entropy": config.entropy_weight * share * negative_entropy(attention, len(batch))}


def negative_entropy(attention: Tensor, bags: int) -> Tensor:
    """``sum a log a`` of ``(sum N, K)`` weights that sum to one per bag; mean over bags and K."""
    weights = full_precision(attention)
    # A weight may underflow to zero, where the logarithm has no gradient and the entropy none.
    logarithms = weights.clamp(min=torch.finfo(weights.dtype).tiny).log()
    return (weights * logarithms).sum() / (bags * weights.shape[1])
