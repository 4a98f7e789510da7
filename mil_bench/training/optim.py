"""Optimisers of the harness, among them TransMIL's Lookahead around RAdam."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

from mil_bench.training.config import TrainerConfig


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


class LookaheadRAdam(Optimizer):
    """RAdam (Liu et al., ICLR 2020) inside Lookahead (Zhang et al., NeurIPS 2019).

    As in TransMIL's repository: decoupled weight decay ``p -= lr * wd * p`` before the step; while
    the length of the averaged variance is below 5 the step is bias-corrected momentum; every
    ``k`` steps the weights move to ``slow + alpha (fast - slow)``. The slow copy is made at the
    first synchronisation, which therefore changes nothing.
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        alpha: float = 0.5,
        k: int = 6,
    ) -> None:
        defaults = {"lr": lr, "betas": betas, "eps": eps, "alpha": alpha, "k": k}
        super().__init__(params, {**defaults, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One RAdam step and, every ``k`` steps, one synchronisation."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, group)
        return loss

    def _update(self, p: Tensor, group: dict[str, Any]) -> None:
        state = self.state[p]
        if not state:
            state["step"] = 0
            state["mean"], state["variance"] = torch.zeros_like(p), torch.zeros_like(p)
        state["step"] += 1
        step, (beta1, beta2) = state["step"], group["betas"]
        state["mean"].lerp_(p.grad, 1 - beta1)
        state["variance"].mul_(beta2).addcmul_(p.grad, p.grad, value=1 - beta2)
        p.mul_(1 - group["lr"] * group["weight_decay"])
        rate = group["lr"] * radam_rate(step, beta2) / (1 - beta1**step)
        if variance_length(step, beta2) >= 5:
            p.addcdiv_(state["mean"], state["variance"].sqrt().add_(group["eps"]), value=-rate)
        else:
            p.add_(state["mean"], alpha=-rate)
        if step % group["k"] == 0:
            slow = state.setdefault("slow", p.clone())
            p.copy_(slow.lerp_(p, group["alpha"]))


def variance_length(step: int, beta2: float) -> float:
    """Length of the simple moving average that the variance estimate equals (RAdam, eq. 4)."""
    longest = 2 / (1 - beta2) - 1
    return longest - 2 * step * beta2**step / (1 - beta2**step)


def radam_rate(step: int, beta2: float) -> float:
    """Factor of the step: variance rectification and its bias correction, or 1 below length 5."""
    longest, length = 2 / (1 - beta2) - 1, variance_length(step, beta2)
    if length < 5:
        return 1.0
    shrink = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return float((shrink * (1 - beta2**step)) ** 0.5)
