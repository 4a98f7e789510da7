"""A method around another one that changes only what features the inner one is given."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from mil_bench.bags.batch import BagBatch
from mil_bench.method import Method, Output

FACTS = (
    *("version", "order_dependent", "needs_coords", "attention_is_distribution"),
    "safe_in_bf16",
)
GIVEN = "online_features"


class Wrapped(Method):
    """``inner`` on other features of the same instances, trained together with what makes them.

    Everything else, hooks and facts included, is that of ``inner``. Its loss sees the features that
    its forward pass saw: they travel in ``Output.extras``.
    """

    def __init__(self, inner: Method) -> None:
        super().__init__(inner.config, inner.dim, inner.taxonomy)
        self.inner = inner
        for fact in FACTS:
            setattr(self, fact, getattr(inner, fact))

    @abstractmethod
    def embed(self, features: Tensor) -> Tensor:
        """What a batch holds ``(sum N, ...)`` -> features ``(sum N, D)`` for ``inner``."""

    def forward(self, batch: BagBatch) -> Output:
        """Score every bag as ``inner`` does from the new features."""
        given = self.embed(batch.features)
        output: Output = self.inner(replace(batch, features=given))
        return replace(output, extras={**output.extras, GIVEN: given})

    def loss(self, output: Output, batch: BagBatch, progress: float) -> dict[str, Tensor]:
        """The terms of ``inner``."""
        return self.inner.loss(output, replace(batch, features=output.extras[GIVEN]), progress)

    def before_epoch(self, progress: float) -> None:
        """As ``inner`` wants it."""
        self.inner.before_epoch(progress)

    def after_step(self, progress: float) -> None:
        """As ``inner`` wants it."""
        self.inner.after_step(progress)

    def set_class_weights(self, weights: Mapping[str, Tensor]) -> None:
        """As ``inner`` wants it."""
        self.inner.set_class_weights(weights)

    @property
    def neighbours(self) -> int:
        """As ``inner`` wants it."""
        return self.inner.neighbours
