"""Settings of the training harness. Imports nothing heavy."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mil_bench.config import StrictConfig, tunable

Monitor = Literal["loss", "accuracy", "balanced_accuracy", "macro_auc", "macro_f1"]


class TrainerConfig(StrictConfig):
    """How a method is trained; its ``recipe`` and a dataset's overrides change defaults."""

    optimizer: Literal["adam", "adamw", "lookahead_radam"] = "adam"
    lr: float = tunable(1e-4, low=1e-5, high=1e-2, log=True, gt=0)
    weight_decay: float = tunable(1e-5, low=1e-6, high=1e-2, log=True, ge=0)
    epochs: int = Field(50, ge=1)
    batch_size: int = tunable(1, choices=(1, 4, 16, 64), ge=1)  # bags per packed step
    accumulate: int = Field(1, ge=1)  # packed steps per optimiser step
    clip_norm: float | None = Field(None, gt=0)
    schedule: Literal["constant", "cosine", "plateau"] = "constant"
    warmup_epochs: float = Field(0, ge=0)
    class_weighting: Literal["none", "balanced"] = "none"
    sampling: Literal["shuffle", "balanced"] = "shuffle"
    max_instances: int | None = Field(None, ge=1)  # random subset per bag in training only
    monitor: Monitor = "loss"  # on validation bags
    patience: int | None = Field(None, ge=1)  # epochs without improvement before stopping
    min_epochs: int = Field(0, ge=0)
