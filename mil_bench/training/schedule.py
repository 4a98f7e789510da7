"""Learning-rate schedules, per optimiser step."""

from __future__ import annotations

import math
from typing import TypedDict

from torch.optim import Optimizer

PLATEAU_FACTOR = 0.1  # HMIL's recipe, Jin et al. 2025
PLATEAU_PATIENCE = 5  # epochs without improvement


class ScheduleState(TypedDict):
    """What a resumed run needs."""

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
        """Multiplier of the base rate at 0-based optimiser step ``step``."""
        if step < self.warmup_steps:
            return (step + 1) / self.warmup_steps
        if self.kind == "cosine":
            share = (step - self.warmup_steps) / max(1, self.steps - self.warmup_steps)
            return 0.5 * (1 + math.cos(math.pi * min(1.0, share)))
        return self._state["scale"]

    def before_step(self) -> float:
        """Set the rates of the coming optimiser step; the rate of the first group."""
        factor = self.factor(self._state["step"])
        for group, base in zip(self.optimizer.param_groups, self.base, strict=True):
            group["lr"] = base * factor
        self._state["step"] += 1
        return self.base[0] * factor

    def after_epoch(self, epoch: int, best_epoch: int) -> None:
        """Tell the epoch just validated and the best one so far."""
        last_change = max(best_epoch, self._state["last_change"])
        if self.kind == "plateau" and epoch - last_change > PLATEAU_PATIENCE:
            self._state["scale"] *= PLATEAU_FACTOR
            last_change = epoch
        self._state["last_change"] = last_change

    def state_dict(self) -> ScheduleState:
        """State for the checkpoint."""
        return self._state.copy()

    def load_state_dict(self, state: ScheduleState) -> None:
        """Continue from a checkpoint."""
        self._state = state.copy()
