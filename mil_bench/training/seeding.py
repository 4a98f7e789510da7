"""Random numbers of a run: all of an epoch derive from the seed and the number of the epoch.

So there is no generator state to store: a run resumed at epoch ``k`` draws the same numbers as one
that was never stopped, whatever happened in the process before.
"""

from __future__ import annotations

import os
import random

import numpy as np
import torch
from torch.utils import deterministic

SETUP = 0  # the "epoch" of model initialisation and of final predictions


def seed_everything(seed: int, epoch: int) -> None:
    """Seed python, numpy and torch (host and every device) for one epoch of one run."""
    words = np.random.SeedSequence([seed, epoch]).generate_state(3, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]) % 2**32)
    torch.manual_seed(int(words[2]) % 2**63)


def make_deterministic(device: torch.device) -> None:
    """Select deterministic kernels. Call it before the first CUDA call.

    On CUDA an operation without a deterministic kernel warns instead of failing the run.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    # A debugging aid of torch that fills new memory with NaN: it costs a pass over every tensor.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
