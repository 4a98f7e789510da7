"""The optimiser of a run, and which weights decay."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from mil_bench.training.config import TrainerConfig
from mil_bench.training.lookahead import LookaheadRAdam


def make_optimizer(module: nn.Module, config: TrainerConfig) -> Optimizer:
    """The optimiser named in ``config`` over the trainable parameters of ``module``.

    ``adam`` adds ``weight_decay`` to the gradient of every parameter, as published MIL code does.
    ``adamw`` and ``lookahead_radam`` decay the weights directly and spare one-dimensional tensors
    and biases.
    """
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    if config.optimizer == "adam":
        parameters = [p for _, p in named]
        return Adam(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True)
    groups = decay_groups(named, config.weight_decay)
    if config.optimizer == "adamw":
        return AdamW(groups, lr=config.lr, fused=True)
    return LookaheadRAdam(groups, lr=config.lr)


def decay_groups(
    named: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    """Two parameter groups: decayed, and not (one-dimensional tensors, names in ``.bias``)."""
    decayed: list[nn.Parameter] = []
    spared: list[nn.Parameter] = []
    for name, parameter in named:
        group = spared if parameter.ndim == 1 or name.endswith(".bias") else decayed
        group.append(parameter)
    groups = [(decayed, weight_decay), (spared, 0.0)]
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]
