"""What has to be known of an encoder before it can be used, and how it may be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Pool = Literal["timm", "layer3", "class+mean"]
Colour = tuple[float, float, float]

IMAGENET_MEAN: Colour = (0.485, 0.456, 0.406)
IMAGENET_STD: Colour = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class EncoderCard:
    """One patch encoder.

    ``dim`` is 0 where only the network knows. ``architecture`` and ``arguments`` make the network
    with timm; ``pool`` is what becomes the feature: timm's own output, the mean of a ResNet's third
    stage, or the class token beside the mean of the patch tokens. A tile of ``tile`` pixels at
    ``mpp`` um per pixel is scaled to ``scaled`` pixels, of which the middle ``input_size`` are
    seen. ``repository`` and ``file`` say where the weights are kept on the Hugging Face hub.
    """

    name: str
    title: str
    dim: int
    architecture: str
    repository: str
    file: str
    licence: str
    gated: bool
    arguments: Mapping[str, Any] = field(default_factory=dict)
    pool: Pool = "timm"
    mean: Colour = IMAGENET_MEAN
    std: Colour = IMAGENET_STD
    input_size: int = 224
    scaled: int = 224
    tile: int = 256
    mpp: float = 0.5

    @property
    def summary(self) -> str:
        """One line: what it is, its size, its scale, what its licence asks."""
        gate = ", gated" if self.gated else ""
        return (
            f"{self.title}: {self.dim}-d, tiles of {self.tile} at {self.mpp:g} um/px; "
            f"{self.licence}{gate}"
        )

    @property
    def origin(self) -> str:
        """Where its weights come from."""
        return f"{self.file} of https://huggingface.co/{self.repository}"
