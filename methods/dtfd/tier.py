"""One tier of DTFD-MIL: gated attention pooling and a linear classifier."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from mil_bench.bags.batch import BagBatch
from mil_bench.nn.attention import AttentionNet
from mil_bench.nn.segment import segment_matmul, segment_softmax


class Scored(NamedTuple):
    """``logits`` ``(B, C)``, ``attention`` ``(sum N, 1)`` and ``pooled`` ``(B, width)``."""

    logits: Tensor
    attention: Tensor
    pooled: Tensor


class Tier(nn.Module):
    """Attention pooling (Ilse et al., ICML 2018, eq. 9) and ``Linear(width, classes)``."""

    def __init__(self, width: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.attention = AttentionNet(width, hidden, 1)
        self.classifier = nn.Linear(width, classes)

    def forward(self, bags: BagBatch) -> Scored:
        """Score bags of embedded rows."""
        attention = segment_softmax(self.attention(bags.features), bags.segment, bags.offsets)
        pooled = segment_matmul(attention, bags.features, bags.segment, bags.sizes).squeeze(1)
        return Scored(self.classifier(pooled), attention, pooled)


class ResidualBlock(nn.Module):
    """``x + relu(W2 relu(W1 x))``."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.Linear(width, width, bias=False),
            nn.ReLU(),
            nn.Linear(width, width, bias=False),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(N, width)`` -> ``(N, width)``."""
        rows: Tensor = x + self.inner(x)
        return rows
