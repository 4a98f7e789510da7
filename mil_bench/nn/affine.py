"""Linear maps of instance features that are never computed: their readers are linear too."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn

from mil_bench.nn.casting import as_written


@dataclass(frozen=True)
class Affine:
    """``h = W x + b`` of every instance: ``x`` ``(sum N, d)``, ``W`` ``(D, d)``, ``b`` ``(D,)``.

    A linear layer that reads ``h`` multiplies ``x`` by its weights times ``W`` instead; a weighted
    mean over a bag is taken of ``x`` and mapped afterwards. With ``d < D`` this is the same
    function for a fraction of the multiplications, and ``h`` takes no memory. Without ``W`` and
    ``b`` it is ``x`` itself.
    """

    x: Tensor
    weight: Tensor | None = None
    bias: Tensor | None = None

    def then(self, layer: nn.Linear) -> Affine:
        """The features after ``layer`` ``(D, D')``, which must have a bias."""
        return Affine(self.x, *self.folded(layer.weight, layer.bias))

    def folded(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weight ``(D', d)`` and bias ``(D',)`` that do to ``x`` what the given do to ``h``."""
        if self.weight is None or self.bias is None:
            return weight, bias
        with as_written(weight):
            return weight @ self.weight, weight @ self.bias + bias

    def of_mean(self, pooled: Tensor) -> Tensor:
        """Means of ``h`` ``(..., D)`` from those of ``x`` ``(..., d)``, whose weights sum to 1."""
        if self.weight is None or self.bias is None:
            return pooled
        with as_written(pooled):
            return pooled.to(self.weight.dtype) @ self.weight.T + self.bias

    def part(self, x: Tensor) -> Affine:
        """The same map of other instances."""
        return replace(self, x=x)


Features = Tensor | Affine


def as_affine(h: Features) -> Affine:
    """``h`` itself, or as the identity map of a tensor."""
    return h if isinstance(h, Affine) else Affine(h)
