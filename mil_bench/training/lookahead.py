"""TransMIL's optimiser: Lookahead (Zhang et al., NeurIPS 2019) around RAdam (Liu, ICLR 2020)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.optim import AdamW


class LookaheadRAdam(AdamW):
    """RAdam with decoupled weight decay and, every ``k`` steps, ``slow + alpha (fast - slow)``.

    As in TransMIL's repository: weights decay by ``lr * weight_decay`` before a step; while the
    length of the averaged variance is below 5 the step is bias-corrected momentum; the slow weights
    are made at the first synchronisation, which therefore changes nothing.

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
        """One RAdam step and, every ``k`` steps, one synchronisation."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        given = [{key: g[key] for key in ("lr", "eps", "weight_decay")} for g in self.param_groups]
        for group in self.param_groups:
            group["steps"] += 1
            group.update(as_adamw(**{key: group[key] for key in _INPUTS}))
        super().step()
        for group, before in zip(self.param_groups, given, strict=True):
            group.update(before)
            self._complete(group)
        return loss

    def _complete(self, group: dict[str, Any]) -> None:
        """Momentum while AdamW's rate is zero, and Lookahead."""
        parameters = [p for p in group["params"] if p.grad is not None]
        states = [self.state[p] for p in parameters]
        steps, (beta1, beta2) = group["steps"], group["betas"]
        if variance_length(steps, beta2) < 5:
            torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
            rate = group["lr"] / (1 - beta1**steps)
            torch._foreach_add_(parameters, [s["exp_avg"] for s in states], alpha=-rate)
        if steps % group["k"] == 0:
            slow = [
                s.setdefault("slow", p.clone()) for p, s in zip(parameters, states, strict=True)
            ]
            torch._foreach_lerp_(slow, parameters, group["alpha"])
            torch._foreach_copy_(parameters, slow)


_INPUTS = ("lr", "eps", "weight_decay", "betas", "steps")


def as_adamw(
    lr: float, eps: float, weight_decay: float, betas: tuple[float, float], steps: int
) -> dict[str, float]:
    """The constants with which AdamW makes the rectified step; a rate of zero before length 5.

    RAdam divides by ``sqrt(v) + eps`` before the bias correction of ``v``, AdamW after it.
    """
    beta2 = betas[1]
    longest, length = 2 / (1 - beta2) - 1, variance_length(steps, beta2)
    if length < 5:
        return {"lr": 0.0}
    shrink = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return {
        "lr": lr * shrink**0.5,
        "weight_decay": weight_decay / shrink**0.5,
        "eps": eps / (1 - beta2**steps) ** 0.5,
    }


def variance_length(step: int, beta2: float) -> float:
    """Length of the simple moving average that the variance estimate equals (RAdam, eq. 4)."""
    longest = 2 / (1 - beta2) - 1
    return longest - 2 * step * beta2**step / (1 - beta2**step)
