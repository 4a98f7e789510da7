"""From an encoder's name to its card and network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from mil_bench.bags.formats import canonical_encoder
from mil_bench.errors import UnknownNameError
from mil_bench.extraction.encoders import ENCODERS
from mil_bench.extraction.encoders.card import EncoderCard
from mil_bench.extraction.encoders.weights import RANDOM_SEED

_LAYERS: dict[str, Callable[[], Any]] = {
    "SwiGLUPacked": lambda: _timm().layers.SwiGLUPacked,
    "SiLU": lambda: nn.SiLU,
}


def find_card(name: str) -> EncoderCard:
    """The card of a known encoder (any alias), or one made for any timm model.

    Raises ``UnknownNameError`` for other names.
    """
    for known in (name, canonical_encoder(name)):
        if known in ENCODERS:
            return ENCODERS.get(known)
    timm = _timm()
    if timm.is_model(name):
        return _timm_card(name)
    hint = "`mil-bench list encoders` shows all; any model of timm is one too."
    raise UnknownNameError("encoder", name, [*ENCODERS.names(), *timm.list_models()], hint)


def build(card: EncoderCard) -> Pooled:
    """The network with random weights; images ``(B, 3, H, W)`` -> features ``(B, D)``."""
    arguments = {k: _layer(v) for k, v in card.arguments.items()}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RANDOM_SEED)
        network = _timm().create_model(
            card.architecture, pretrained=False, num_classes=0, **arguments
        )
    if card.pool == "layer3":
        network.layer4 = nn.Identity()
    return Pooled(network, card.pool).eval()


class Pooled(nn.Module):
    """A timm network and the part of its output that becomes the feature."""

    def __init__(self, network: nn.Module, pool: str) -> None:
        super().__init__()
        self.network: Any = network
        self.pool = pool

    def forward(self, images: Tensor) -> Tensor:
        """Images ``(B, 3, H, W)`` -> features ``(B, D)``."""
        if self.pool == "timm":
            features: Tensor = self.network(images)
            return features
        maps: Tensor = self.network.forward_features(images)
        if self.pool == "layer3":
            return maps.mean((2, 3))
        patches = maps[:, self.network.num_prefix_tokens :]
        return torch.cat([maps[:, 0], patches.mean(1)], dim=1)


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
