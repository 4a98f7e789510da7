"""Initialisers that published code applies to every linear layer of a model."""

from __future__ import annotations

from torch import nn


def xavier_linear(module: nn.Module) -> None:
    """Xavier-normal weights and zero biases in every ``Linear`` below ``module``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def kaiming_linear(module: nn.Module) -> None:
    """Kaiming-normal weights (fan in, gain sqrt 2), zero biases in every ``Linear`` below."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def orthogonal_layers(module: nn.Module) -> None:
    """Orthogonal weights and zero biases in every ``Linear`` and ``Conv1d`` below ``module``."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv1d):
            nn.init.orthogonal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
