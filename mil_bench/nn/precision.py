"""Arithmetic of a run: float32, or mixed precision with float32 master weights."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch

from mil_bench.base.errors import UsageError
from mil_bench.contract.spec import Precision
from mil_bench.nn.cpu import multiplies_bf16

PrecisionChoice = Literal["auto", "32", "bf16", "16"]


def resolve_precision(choice: str, device: torch.device, safe_in_bf16: bool) -> Precision:
    """Return ``auto`` -> bf16 for a method measured to be safe in it on a device fast in it, else
    32.

    ``safe_in_bf16`` is the method's (:class:`~mil_bench.contract.method.Method`).
    Raises ``UsageError`` for 16 on a CPU.
    """
    match choice:
        case "auto":
            return "bf16" if safe_in_bf16 and is_fast_in_bf16(device) else "32"
        case "16" if device.type != "cuda":
            raise UsageError("precision 16 requires a CUDA device; use --precision 32 or bf16.")
        case "32" | "bf16" | "16":
            return choice
        case _:
            raise UsageError(f"precision {choice!r} is unknown; expected auto, 32, bf16 or 16.")


def is_fast_in_bf16(device: torch.device) -> bool:
    """Return whether the GPU or CPU multiplies bfloat16 numbers itself."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return multiplies_bf16()


def autocast(precision: Precision, device: torch.device) -> AbstractContextManager[object]:
    """Return the context of every forward pass and loss."""
    if precision == "32":
        return nullcontext()
    dtype = torch.bfloat16 if precision == "bf16" else torch.float16
    return torch.autocast(device.type, dtype)


def feature_type(precision: Precision) -> torch.dtype:
    """Return the type of the features that a model reads.

    Features of some encoders overflow in float16; only autocast narrows features to it.
    """
    return torch.bfloat16 if precision == "bf16" else torch.float32


def gradient_scaler(precision: Precision, device: torch.device) -> torch.amp.GradScaler:
    """Return loss scaling for float16; does nothing in other precisions."""
    return torch.amp.GradScaler(device.type, enabled=precision == "16")
