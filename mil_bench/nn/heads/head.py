"""The contract of a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn

from mil_bench.taxonomy import LEAF, Taxonomy

Levels = Mapping[str, Tensor]
"""Level name -> logits ``(B, K_level)``, labels ``(B,)`` or weights of classes ``(K_level,)``."""


class Head(nn.Module, ABC):
    """Reads ``outputs`` numbers of a bag; has buffers that are not saved, and no parameters."""

    def __init__(self, taxonomy: Taxonomy) -> None:
        super().__init__()
        self.taxonomy = taxonomy

    @property
    def outputs(self) -> int:
        """How many numbers the method's last layer gives; one per leaf class."""
        return len(self.taxonomy.leaves)

    def by_level(self, x: Tensor) -> dict[str, Tensor]:
        """``(rows, outputs)`` -> level name -> ``(rows, K_level)``: whose numbers they are.

        What belongs to one output each, such as a branch of attention, so belongs to a class.
        """
        return {LEAF: x}

    @abstractmethod
    def forward(self, scores: Tensor) -> dict[str, Tensor]:
        """``(B, outputs)`` -> logits ``(B, K_level)``; always of the leaves."""

    @abstractmethod
    def loss(self, logits: Levels, labels: Levels, weights: Levels) -> dict[str, Tensor]:
        """Named terms, means over bags. ``weights`` of classes may be empty."""
