"""What an exact resume requires: the state of a run after an epoch, and its random numbers."""

from __future__ import annotations

import csv
import io
import math
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import deterministic

from mil_bench.bags.conversion import Standardization
from mil_bench.base.atomic import write_bytes, write_text
from mil_bench.base.errors import RunError

StateDict = dict[str, Any]


@dataclass
class Checkpoint:
    """The content of ``checkpoint.pt``: plain containers, and tensors on the host only.

    ``best_model`` is the state dict of the best epoch so far. ``history`` has a row per epoch. The
    training state (``model``, ``optimizer``, ``schedule``, ``scaler``) is dropped when the run is
    done. Generators have no state here (:func:`seed_everything` says why). ``threads`` is the
    number of threads at the start of the run, because the order of a sum depends on it.
    """

    key: str
    threads: int
    epoch: int = 0
    finished: bool = False  # training is over: all epochs, or stopped early
    best_epoch: int = 0
    best_value: float = math.nan
    seconds: float = 0.0  # of training, over all sessions
    history: list[dict[str, float]] = field(default_factory=list)
    best_model: dict[str, Tensor] = field(default_factory=dict)
    mean: Tensor | None = None  # (D,) of the feature standardisation
    std: Tensor | None = None
    model: dict[str, Tensor] | None = None
    optimizer: StateDict | None = None
    schedule: StateDict | None = None
    scaler: StateDict | None = None

    @property
    def standardization(self) -> Standardization | None:
        """The feature statistics the model was trained with, if any."""
        if self.mean is None or self.std is None:
            return None
        return Standardization(self.mean, self.std)

    def save(self, path: Path) -> None:
        """Write atomically. Raises ``OSError`` with the earlier checkpoint intact."""
        buffer = io.BytesIO()  # in memory first: the file appears complete or not at all
        torch.save({f.name: getattr(self, f.name) for f in fields(self)}, buffer)
        write_bytes(path, buffer.getbuffer())

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read without running any code. Raises ``RunError`` when the file is not a checkpoint."""
        try:
            content = io.BytesIO(path.read_bytes())
        except OSError as error:
            raise RunError(f"cannot read {path}: {error.strerror}.") from None
        try:
            # weights_only: a pickle could run code.
            return cls(**torch.load(content, map_location="cpu", weights_only=True))
        # Any: torch, pickle and zip raise their own errors, and other keys are a TypeError.
        except Exception:
            raise RunError(
                f"{path} is not a readable checkpoint; restart this run with --overwrite, "
                "which keeps the old folder."
            ) from None

    def slimmed(self) -> Checkpoint:
        """Return a copy with only what inference requires."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Checkpoint(
            **{**values, **dict.fromkeys(("model", "optimizer", "schedule", "scaler"))}
        )


def host_copy(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a copy on the host, which later training steps do not change."""
    # A later step changes parameters in place.
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def write_train_log(path: Path, history: Sequence[Mapping[str, float]]) -> None:
    """Write ``train.csv`` in one atomic step: a row per epoch with losses, rate, scores, seconds.

    The file is rewritten from the checkpoint's history each time, so it never holds an epoch twice,
    or one that a resumed run repeats. A term that an epoch does not have is an empty cell.
    """
    # In order of first appearance.
    columns = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_text(path, text.getvalue())


SETUP = 0  # the "epoch" of model initialisation and of final predictions


def seed_everything(seed: int, epoch: int) -> None:
    """Seed python, numpy and torch (host and every device) for one epoch of one run.

    All random numbers of an epoch derive from the seed and its number, so there is no generator
    state to store: a run resumed at epoch ``k`` draws the same numbers as one that was never
    stopped, whatever happened in the process before.
    """
    # One word per library: equal seeds of two generators would be correlated.
    words = np.random.SeedSequence([seed, epoch]).generate_state(3, np.uint64)
    random.seed(int(words[0]))
    np.random.seed(int(words[1]) % 2**32)
    torch.manual_seed(int(words[2]) % 2**63)


def make_deterministic(device: torch.device) -> None:
    """Select deterministic kernels. Call it before the first CUDA call.

    On CUDA an operation without a deterministic kernel warns instead of failing the run.
    """
    # cuBLAS has no fixed order without it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    # A debugging aid of torch that fills new memory with NaN: it costs a pass over every tensor.
    deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False  # timing would choose the kernel
