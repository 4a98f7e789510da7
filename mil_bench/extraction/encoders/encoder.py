"""An encoder ready for use: tiles in, features out."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mil_bench.errors import MilBenchError
from mil_bench.extraction.encoders.build import Pooled, build, find_card
from mil_bench.extraction.encoders.card import EncoderCard
from mil_bench.extraction.encoders.weights import WeightsChoice, described, load_weights
from mil_bench.spec import Precision
from mil_bench.training.precision import autocast

RANDOM_TAG = "-random"


@dataclass(frozen=True)
class Encoder:
    """``name`` is written into every file; random weights end in ``-random``, on boards too.

    ``weights`` tells which file the weights came from.
    """

    name: str
    card: EncoderCard
    weights: str
    network: Pooled
    device: torch.device
    precision: Precision

    @torch.inference_mode()
    def __call__(self, tiles: Tensor) -> Tensor:
        """Tiles ``(B, scaled, scaled, 3)`` uint8 -> features ``(B, D)`` float32, on the device."""
        try:
            return self.encode(tiles)
        except torch.OutOfMemoryError:
            raise MilBenchError(
                f"{len(tiles)} tiles do not fit on {self.device} with {self.name}; give a smaller "
                "--batch, finished slides are kept."
            ) from None

    def encode(self, tiles: Tensor) -> Tensor:
        """The same with a gradient, where weights of the network want one."""
        if self.device.type == "cuda":
            tiles = tiles.pin_memory()  # or the copy would wait for the batch before
        images = tiles.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        images = _middle(images, self.card.input_size).float()
        mean, std = (torch.tensor(c, device=self.device) for c in (self.card.mean, self.card.std))
        images = (images - 255 * mean[:, None, None]) / (255 * std[:, None, None])
        images = images.contiguous(memory_format=torch.channels_last)
        with autocast(self.precision, self.device):
            features: Tensor = self.network(images)
        return features.float()


def default_batch(device: torch.device) -> int:
    """Tiles encoded at once: enough to fill a GPU, few enough for the caches of a CPU."""
    return 64 if device.type == "cuda" else 8


def load_encoder(
    name: str, choice: WeightsChoice, device: torch.device, precision: Precision
) -> Encoder:
    """The encoder called ``name`` with the weights of ``choice`` on ``device``.

    Raises ``UnknownNameError`` for the name, ``UsageError`` when weights are missing and
    ``MilBenchError`` when they do not fit.
    """
    card = find_card(name)
    path = choice.resolve(card)
    pooled = build(card)
    if path is not None:
        load_weights(pooled.network, path, card)
    card = replace(card, dim=card.dim or pooled.network.num_features)
    network = pooled.to(device).to(memory_format=torch.channels_last)
    tagged = card.name + (RANDOM_TAG if path is None else "")
    return Encoder(tagged, card, described(path), network, device, precision)


def _middle(images: Tensor, size: int) -> Tensor:
    top, left = ((side - size) // 2 for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size]
