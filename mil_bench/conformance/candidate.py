"""The method under test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from mil_bench.config import build
from mil_bench.contracts.methods import held
from mil_bench.method import Method, MethodConfig
from mil_bench.taxonomy import Taxonomy

SEED = 1


@dataclass(frozen=True)
class Candidate:
    """A method class, the name that messages use, and settings other than its defaults."""

    name: str
    kind: type[Method]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def config(self, **overrides: Any) -> MethodConfig:
        """Its configuration. Raises ``ConfigError`` or ``UnknownNameError``."""
        return build(self.kind.Config, {**self.settings, **overrides}, f"method {self.name}")

    def make(self, taxonomy: Taxonomy, dim: int = 6, seed: int = SEED, **overrides: Any) -> Method:
        """A new model that is held to the contract: what it returns is checked at once."""
        return held(self.plain(taxonomy, dim, seed, **overrides))

    def plain(self, taxonomy: Taxonomy, dim: int = 6, seed: int = SEED, **overrides: Any) -> Method:
        """A new model with float64 parameters, so that equal results are equal to 1e-7."""
        config = self.config(**overrides)
        torch.manual_seed(seed)
        return self.kind(config, dim, taxonomy).double()
