"""``--online blocks=N``: the last blocks of the encoder are trained with the method."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mil_bench.extraction.encoders.encoder import Encoder, default_batch
from mil_bench.method import Method
from mil_bench.online.last_blocks import last_blocks
from mil_bench.online.wrapped import Wrapped
from mil_bench.training.precision import feature_type


class FineTuned(Wrapped):
    """``inner`` behind ``encoder``, whose last ``blocks`` blocks are trained.

    A batch holds pixels of tiles in training and features of :meth:`encoded` in evaluation, told
    apart by their type. Only the trained blocks are parameters here, so only they are in
    checkpoints; the frozen rest is in the encoder's own file. It stays in evaluation mode: norms
    keep their statistics and a tile has the same features in training and in evaluation.
    """

    def __init__(self, inner: Method, encoder: Encoder, blocks: int) -> None:
        super().__init__(inner)
        self.encoder = encoder
        self.at_once = default_batch(encoder.device)
        trained = last_blocks(encoder.network, blocks, encoder.name)
        self.last = nn.ParameterDict({k.replace(".", "/"): p for k, p in trained.items()})

    def embed(self, features: Tensor) -> Tensor:
        """Tiles ``(sum N, scaled * scaled * 3)`` uint8, or features: -> ``(sum N, D)``."""
        if features.dtype != torch.uint8:
            return features
        side = self.encoder.card.scaled
        parts = torch.split(features.view(-1, side, side, 3), self.at_once)
        return self._typed(torch.cat([self.encoder.encode(part) for part in parts]))

    @torch.no_grad()
    def encoded(self, tiles: Tensor) -> Tensor:
        """Tiles ``(n, scaled, scaled, 3)`` uint8 -> features ``(n, D)`` as ``inner`` is given."""
        return self._typed(self.encoder.encode(tiles))

    def _typed(self, features: Tensor) -> Tensor:
        return features.to(feature_type(self.encoder.precision))
