"""Everything that defines a run, and the key made of it.

The key is a prefix of the SHA-256 of the canonical JSON: content, never paths, hardware or worker
count. The same key is the same experiment.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any, Literal

from mil_bench.config import StrictConfig, later
from mil_bench.online.config import Online
from mil_bench.training.config import TrainerConfig

Kind = Literal["real", "embedded", "simulated"]
Precision = Literal["32", "bf16", "16"]
KEY_LENGTH = 16
HARNESS = "2"
"""Raised when a change of layers, loop or optimisers alters the results of every method."""


class RunSpec(StrictConfig):
    """One experiment: one method trained once on one fold of one dataset."""

    dataset: str
    kind: Kind
    labels_digest: str
    tree: dict[str, Any]
    split: str
    split_digest: str
    fold: int
    encoder: str
    dim: int
    features_digest: str
    standardize: bool = False
    method: str
    method_version: str
    method_config: dict[str, Any]
    harness: str = HARNESS
    trainer: TrainerConfig
    seed: int
    precision: Precision = "32"
    online: Online | None = later(None)

    def canonical(self) -> str:
        """JSON with sorted keys and no blanks."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def key(self) -> str:
        """Hex key of the experiment."""
        return sha256(self.canonical().encode()).hexdigest()[:KEY_LENGTH]

    @property
    def title(self) -> str:
        """One line for people: ``hmil on digit-bags, fold 0, seed 1``."""
        return f"{self.method} on {self.dataset}, fold {self.fold}, seed {self.seed}"
