"""Arithmetic of a run: float32, or mixed precision with float32 master weights."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from mil_bench.errors import UsageError
from mil_bench.spec import Precision

PrecisionChoice = Literal["auto", "32", "bf16", "16"]


def resolve_precision(choice: str, device: torch.device) -> Precision:
    """``auto`` -> bf16 on a GPU that multiplies it, 16 on an older GPU, 32 on a CPU.

    A CPU stays at 32 because most have no bf16 multiplier and would be slower; ask for bf16 where
    AVX512-BF16 or AMX is there. Raises ``UsageError`` for 16 on a CPU.
    """
    on_cuda = device.type == "cuda"
    match choice:
        case "auto" if on_cuda:
            return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "16"
        case "auto":
            return "32"
        case "16" if not on_cuda:
            raise UsageError("precision 16 needs a CUDA device; use --precision 32 or bf16.")
        case "32" | "bf16" | "16":
            return choice
        case _:
            raise UsageError(f"precision {choice!r} is unknown; expected auto, 32, bf16 or 16.")


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """The context of every forward pass and loss."""
    if precision == "32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype)


def feature_type(precision: Precision) -> torch.dtype:
    """The type in which a model is given its features.

    float16 would overflow on what some encoders put out; only autocast narrows features to it.
    """
    return torch.bfloat16 if precision == "bf16" else torch.float32


def gradient_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Loss scaling, needed by float16 only; for the other precisions it does nothing."""
    return torch.amp.GradScaler(device.type, enabled=precision == "16")
