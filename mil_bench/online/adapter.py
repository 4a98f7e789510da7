"""``--online adapter``: a small residual network between the stored features and the method."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mil_bench.method import Method
from mil_bench.online.wrapped import Wrapped


class Adapted(Wrapped):
    """``x + U relu(V x)`` with ``V`` ``(width, D)``, the same for every instance.

    The bottleneck adapter of Houlsby et al. (ICML 2019), after the encoder instead of inside of it.
    ``U`` begins at zero: before the first step the method is exactly the one without adapter.
    """

    def __init__(self, inner: Method, width: int) -> None:
        super().__init__(inner)
        self.down = nn.Linear(inner.dim, width)
        self.up = nn.Linear(width, inner.dim)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    def embed(self, features: Tensor) -> Tensor:
        """``(sum N, D)`` -> ``(sum N, D)``."""
        change: Tensor = self.up(F.relu(self.down(features)))
        return features + change.to(features.dtype)
