"""Optimisers, weight decay and learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, TypedDict

import torch
from torch import nn
from torch.optim import Adam, AdamW, Optimizer

from mil_bench.contract.spec import TrainerConfig


def make_optimizer(module: nn.Module, config: TrainerConfig) -> Optimizer:
    """Return the optimiser named in ``config`` over the trainable parameters of ``module``.

    ``adam`` adds ``weight_decay`` to the gradient of every parameter, as published MIL code does.
    ``adamw`` and ``lookahead_radam`` decay the weights directly, except one-dimensional tensors
    and biases.
    """
    named = [(name, p) for name, p in module.named_parameters() if p.requires_grad]
    if config.optimizer == "adam":
        parameters = [p for _, p in named]
        # fused: one kernel for all parameters instead of one for each.
        return Adam(parameters, lr=config.lr, weight_decay=config.weight_decay, fused=True)
    groups = decay_groups(named, config.weight_decay)
    if config.optimizer == "adamw":
        return AdamW(groups, lr=config.lr, fused=True)
    return LookaheadRAdam(groups, lr=config.lr)


def decay_groups(
    named: Iterable[tuple[str, nn.Parameter]], weight_decay: float
) -> list[dict[str, Any]]:
    """Return two groups: decayed, and undecayed (one-dimensional tensors, names in ``.bias``)."""
    decayed: list[nn.Parameter] = []
    undecayed: list[nn.Parameter] = []
    for name, parameter in named:
        group = undecayed if parameter.ndim == 1 or name.endswith(".bias") else decayed
        group.append(parameter)
    groups = [(decayed, weight_decay), (undecayed, 0.0)]
    # Adam refuses an empty group.
    return [{"params": params, "weight_decay": decay} for params, decay in groups if params]


# Learning-rate schedules, per optimiser step.

PLATEAU_FACTOR = 0.1  # HMIL's recipe, Jin et al. 2025
PLATEAU_PATIENCE = 5  # epochs without improvement


class ScheduleState(TypedDict):
    """The state that a resumed run requires."""

    step: int
    scale: float
    last_change: int


class Schedule:
    """Sets the rate of every parameter group to ``base * factor`` before each optimiser step.

    Warm-up rises linearly and reaches the full rate at its last step. ``cosine`` then falls to
    zero over the remaining steps, ``plateau`` multiplies by ``PLATEAU_FACTOR`` whenever the monitor
    has not improved for ``PLATEAU_PATIENCE`` epochs, ``constant`` stays.
    """

    def __init__(self, optimizer: Optimizer, kind: str, steps: int, warmup_steps: int = 0) -> None:
        self.optimizer, self.kind = optimizer, kind
        self.steps, self.warmup_steps = steps, warmup_steps
        self.base = [float(group["lr"]) for group in optimizer.param_groups]
        self._state: ScheduleState = {"step": 0, "scale": 1.0, "last_change": 0}

    def factor(self, step: int) -> float:
        """Return the multiplier of the base rate at the 0-based optimiser step ``step``."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps  # the first step has a rate above zero
        if self.kind == "cosine":
            # Steps of 0 after warm-up.
            share = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        return self._state["scale"]

    def before_step(self) -> float:
        """Set the rates of the next optimiser step and return the rate of the first group."""
        factor = self.factor(self._state["step"])
        for group, base in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = base * factor
        self._state["step"] += 1
        return self.base[0] * factor

    def after_epoch(self, epoch: int, best_epoch: int) -> None:
        """Follow the epoch just validated and the best one so far."""
        last_change = max(best_epoch, self._state["last_change"])
        if self.kind == "plateau" and epoch - last_change > PLATEAU_PATIENCE:
            # At least the patience since the last reduction too.
            self._state["scale"] *= PLATEAU_FACTOR
            last_change = epoch
        self._state["last_change"] = last_change

    def state_dict(self) -> ScheduleState:
        """Return the state for the checkpoint."""
        return self._state.copy()

    def load_state_dict(self, state: ScheduleState) -> None:
        """Restore the state of a checkpoint."""
        self._state = state.copy()


# TransMIL's optimiser: Lookahead (Zhang et al., NeurIPS 2019) around RAdam (Liu, ICLR 2020).


class LookaheadRAdam(AdamW):
    """RAdam with decoupled weight decay and, every ``k`` steps, ``slow + alpha (fast - slow)``.

    As in TransMIL's repository: weights decay by ``lr * weight_decay`` before a step. While the
    length of the averaged variance is below 5, the step is bias-corrected momentum. The slow
    weights are copied at the first synchronisation, which therefore changes nothing.

    A rectified step is one of AdamW with other constants, so it runs in that fused kernel. Steps
    are counted per parameter group.
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
        super().__init__(params, lr=lr, betas=betas, eps=eps, weight_decay=0.0, fused=True)
        for group in self.param_groups:
            group.update(alpha=alpha, k=k, steps=0)
        # An overflow of float16 must skip the whole step, which the loss scaler then does.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Make one RAdam step and, every ``k`` steps, one synchronisation."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        rates = [{key: g[key] for key in ("lr", "eps", "weight_decay")} for g in self.param_groups]
        # The group's constants are AdamW's during the call only; the checkpoint holds the user's.
        for group in self.param_groups:
            group["steps"] += 1
            group.update(as_adamw(**{key: group[key] for key in _INPUTS}))
        super().step()
        for group, before in zip(self.param_groups, rates, strict=True):
            group.update(before)
            self._complete(group)
        return loss

    def _complete(self, group: dict[str, Any]) -> None:
        """Momentum while AdamW's rate is zero, and Lookahead."""
        parameters = [p for p in group["params"] if p.grad is not None]
        states = [self.state[p] for p in parameters]
        steps, (beta1, beta2) = group["steps"], group["betas"]
        if variance_length(steps, beta2) < 5:
            # Decoupled decay, before the step.
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            rate = group["lr"] / (1 - beta1**steps)  # momentum, corrected for its start at zero
            torch._foreach_add_(parameters, [s["exp_avg"] for s in states], alpha=-rate)
        if steps % group["k"] == 0:
            slow = [
                # A copy at the first synchronisation, so it changes nothing then.
                s.setdefault("slow", p.clone())
                for p, s in zip(parameters, states, strict=True)
            ]
            torch._foreach_lerp_(slow, parameters, group["alpha"])  # slow + alpha (fast - slow)
            torch._foreach_copy_(parameters, slow)


_INPUTS = ("lr", "eps", "weight_decay", "betas", "steps")


def as_adamw(
    lr: float, eps: float, weight_decay: float, betas: tuple[float, float], steps: int
) -> dict[str, float]:
    """Return the constants with which AdamW makes the rectified step; rate 0 before length 5.

    RAdam divides by ``sqrt(v) + eps`` before the bias correction of ``v``, AdamW after it.
    """
    beta2 = betas[1]
    longest, length = 2 / (1 - beta2) - 1, variance_length(steps, beta2)
    if length < 5:  # too few steps for a variance: momentum instead
        return {"lr": 0.0}
    # The square of RAdam's rectification r_t.
    shrink = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return {
        "lr": lr * shrink**0.5,
        # lr is multiplied by it: decay stays lr * weight_decay.
        "weight_decay": weight_decay / shrink**0.5,
        "eps": eps / (1 - beta2**steps) ** 0.5,
    }


def variance_length(step: int, beta2: float) -> float:
    """Return the length of the equivalent simple moving average (RAdam, eq. 4)."""
    longest = 2 / (1 - beta2) - 1
    return longest - 2 * step * beta2**step / (1 - beta2**step)
