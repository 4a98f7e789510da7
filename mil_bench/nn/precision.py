"""Arithmetic of a run: float32 or mixed precision, and how the CPU multiplies matrices.

Mixed precision has float32 master weights. The settings of the CPU apply to the process, so the
harness makes them, not the methods. They depend only on the machine and the features: the same run
computes the same bits every time.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import torch

from mil_bench.base.errors import UsageError
from mil_bench.contract.spec import Precision


def resolve_precision(choice: str, device: torch.device, safe_in_bf16: bool) -> Precision:
    """Return the precision that ``choice`` stands for.

    ``auto`` is bf16 for a method measured to be safe in it on a device fast in it, else 32.
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
        # Emulated bfloat16 is slower than float32.
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
    # Only float16 has too small a range for gradients; bfloat16 has that of float32.
    return torch.amp.GradScaler(device.type, enabled=precision == "16")


_ROUNDING = 1e-5  # relative error that float32 stays below and bfloat16 misses a hundredfold
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_LARGEST_KEPT = 32 << 20  # bytes; glibc accepts no more
_NEVER = 2**31 - 1
_WIDE = 256  # features; products of narrower ones take less time than oneDNN to prepare for them


def prepare_cpu(dim: int) -> None:
    """Choose the faster float32 products for ``dim`` features and keep freed memory.

    PyTorch's default library runs AMD processors below their speed; oneDNN, which ``"medium"``
    selects, does not, but compiles a kernel for every new shape. Where ``"medium"`` would round to
    bfloat16, float32 stays as it was.

    Freed blocks below 32 MiB stay in the process (glibc), so that the activations of a step do not
    cost a page fault for every 4 KiB.
    """
    # First the default, whatever an earlier run of this process has chosen.
    torch.set_float32_matmul_precision("highest")
    if is_amd() and dim >= _WIDE:
        torch.set_float32_matmul_precision("medium")
        if not _products_are_float32():  # with bfloat16 products, as on Zen 4
            torch.set_float32_matmul_precision("highest")
    if sys.platform == "linux":
        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
        if mallopt is not None:
            # Setting a threshold also switches off glibc's adaptation of both.
            mallopt(_M_MMAP_THRESHOLD, _LARGEST_KEPT)
            mallopt(_M_TRIM_THRESHOLD, _NEVER)


def _products_are_float32() -> bool:
    # Fixed numbers: a draw would advance the random state of the run.
    numbers = torch.linspace(-1, 1, 512 * 512, dtype=torch.float64).view(512, 512).sin()
    exact = numbers @ numbers.T  # float64
    product = numbers.float() @ numbers.float().T
    return bool((product - exact).norm() < _ROUNDING * exact.norm())


_CPUINFO = Path("/proc/cpuinfo")


@cache
def cpuinfo() -> dict[str, str]:
    """Return Linux's fields of the first processor (``vendor_id``, ``flags``, ...).

    Empty on other systems.
    """
    if not _CPUINFO.exists():
        return {}
    first = _CPUINFO.read_text().split("\n\n", 1)[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def is_amd() -> bool:
    """Return whether AMD made the processor."""
    return "AuthenticAMD" in (cpuinfo().get("vendor_id", ""), *platform.processor().split(", "))


def multiplies_bf16() -> bool:
    """Return whether the processor multiplies bfloat16 numbers: AVX512-BF16, AMX or Arm."""
    flags = {*cpuinfo().get("flags", "").split(), *cpuinfo().get("Features", "").split()}
    # x86 says flags, Arm says Features.
    return not flags.isdisjoint({"avx512_bf16", "amx_bf16", "bf16"})
