"""An encoder ready for use: tiles in, features out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from mil_bench.bags.formats.names import canonical_encoder
from mil_bench.base.errors import MilBenchError, UnknownNameError, counted
from mil_bench.contract.spec import Precision
from mil_bench.extraction.encoders import ENCODERS
from mil_bench.extraction.encoders.cards import EncoderCard
from mil_bench.extraction.encoders.weights import (
    RANDOM_SEED,
    WeightsChoice,
    described,
    load_weights,
)
from mil_bench.nn.precision import autocast

RANDOM_TAG = "-random"
"""Suffix of the encoder's name in feature files that were made with random weights."""


def weights_are_random(encoder: str) -> bool:
    """Return whether features named after ``encoder`` were made with random weights."""
    return encoder.endswith(RANDOM_TAG)


def without_tag(encoder: str) -> str:
    """Return the name of the network behind the name in a feature file."""
    return encoder.removesuffix(RANDOM_TAG)


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
                f"{counted(len(tiles), 'tile does', 'tiles do')} not fit on {self.device} "
                f"with {self.name}; use a smaller "
                "--batch. Completed slides are kept."
            ) from None

    def encode(self, tiles: Tensor) -> Tensor:
        """Encode as a call does, with gradients for the weights that require them."""
        if self.device.type == "cuda":
            tiles = tiles.pin_memory()  # or the copy would wait for the batch before
        images = tiles.to(self.device, non_blocking=True).permute(0, 3, 1, 2)
        images = _middle(images, self.card.input_size).float()
        mean, std = (torch.tensor(c, device=self.device) for c in (self.card.mean, self.card.std))
        # The cards are for pixels from 0 to 1.
        images = (images - 255 * mean[:, None, None]) / (255 * std[:, None, None])
        images = images.contiguous(memory_format=torch.channels_last)  # faster convolutions
        with autocast(self.precision, self.device):
            features: Tensor = self.network(images)
        return features.float()  # float32 in files whatever the precision


def default_batch(device: torch.device) -> int:
    """Return how many tiles are encoded at once: few enough for the caches of a CPU."""
    return 64 if device.type == "cuda" else 8


def load_encoder(
    name: str, choice: WeightsChoice, device: torch.device, precision: Precision
) -> Encoder:
    """Return the encoder called ``name`` with the weights of ``choice`` on ``device``.

    Raises ``UnknownNameError`` for the name, ``UsageError`` when weights are missing and
    ``MilBenchError`` when they do not fit.
    """
    card = find_card(name)
    path = choice.resolve(card)
    pooled = build(card)
    if path is not None:
        load_weights(pooled.network, path, card)
    # Any timm model: the network knows.
    card = replace(card, dim=card.dim or pooled.network.num_features)
    network = pooled.to(device).to(memory_format=torch.channels_last)
    tagged = card.name + (RANDOM_TAG if path is None else "")
    return Encoder(tagged, card, described(path), network, device, precision)


def _middle(images: Tensor, size: int) -> Tensor:
    top, left = ((side - size) // 2 for side in images.shape[-2:])
    return images[..., top : top + size, left : left + size]


# From an encoder's name to its card and network.

_LAYERS: dict[str, Callable[[], Any]] = {
    "SwiGLUPacked": lambda: _timm().layers.SwiGLUPacked,
    "SiLU": lambda: nn.SiLU,
}


def find_card(name: str) -> EncoderCard:
    """Return the card of a known encoder (any alias), or one made for any timm model.

    Raises ``UnknownNameError`` for other names.
    """
    for alias in (name, canonical_encoder(name)):
        if alias in ENCODERS:
            return ENCODERS.get(alias)
    timm = _timm()
    if timm.is_model(name):
        return _timm_card(name)
    hint = "`mil-bench list encoders` shows all; any model of timm is an encoder too."
    raise UnknownNameError("encoder", name, [*ENCODERS.names(), *timm.list_models()], hint)


def build(card: EncoderCard) -> Pooled:
    """Return the network with random weights; images ``(B, 3, H, W)`` -> features ``(B, D)``."""
    arguments = {k: _layer(v) for k, v in card.arguments.items()}
    with torch.random.fork_rng(devices=[]):  # random weights must not advance the caller's state
        torch.manual_seed(RANDOM_SEED)
        network = _timm().create_model(
            card.architecture, pretrained=False, num_classes=0, **arguments
        )
    if card.pool == "layer3":
        network.layer4 = nn.Identity()  # the third stage's output is the feature
    return Pooled(network, card.pool).eval()


class Pooled(nn.Module):
    """A timm network and the part of its output that becomes the feature."""

    def __init__(self, network: nn.Module, pool: str) -> None:
        super().__init__()
        self.network: Any = network
        self.pool = pool

    def forward(self, images: Tensor) -> Tensor:
        """Compute features ``(B, D)`` of images ``(B, 3, H, W)``."""
        if self.pool == "timm":
            features: Tensor = self.network(images)
            return features
        maps: Tensor = self.network.forward_features(images)
        if self.pool == "layer3":
            return maps.mean((2, 3))
        patches = maps[:, self.network.num_prefix_tokens :]  # without class and register tokens
        return torch.cat([maps[:, 0], patches.mean(1)], dim=1)  # (B, 2 D)


def _timm_card(name: str) -> EncoderCard:
    facts = _timm().get_pretrained_cfg(name)
    size = facts.input_size[-1]
    return EncoderCard(
        name=name,
        title=f"timm's {name}",
        dim=0,
        architecture=name,
        repository=facts.hf_hub_id or f"timm/{name}",
        file="model.safetensors",
        licence=facts.license or "licence not stated by timm",
        gated=False,
        mean=facts.mean,
        std=facts.std,
        input_size=size,
        scaled=size,
    )


def _layer(value: Any) -> Any:
    return _LAYERS[value]() if isinstance(value, str) and value in _LAYERS else value


def _timm() -> Any:
    import timm  # takes seconds

    return timm
