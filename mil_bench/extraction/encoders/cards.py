"""What has to be known of an encoder before it can be used, and how it may be used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

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
        """One line: Title, feature dimension, scale and licence."""
        gate = ", gated" if self.gated else ""
        return (
            f"{self.title}: {self.dim}-d, tiles of {self.tile} at {self.mpp:g} um/px; "
            f"{self.licence}{gate}"
        )

    @property
    def origin(self) -> str:
        """Where its weights come from."""
        return f"{self.file} of https://huggingface.co/{self.repository}"


# The encoders that are known by name, with TRIDENT's names.
#
# Architectures, normalisation and licences are those of the model cards; the licence that comes
# with the weights decides, also about models trained on the features.

_NO_DERIVATIVES: Final = "CC-BY-NC-ND-4.0"
_WEIGHTS: Final = "pytorch_model.bin"
_HUGE: Final[dict[str, Any]] = {
    "mlp_layer": "SwiGLUPacked",
    "act_layer": "SiLU",
    "mlp_ratio": 5.3375,
    "init_values": 1e-5,
    "dynamic_img_size": True,
}
_OPTIMUS: Final[dict[str, Any]] = {
    "architecture": "vit_giant_patch14_reg4_dinov2",
    "arguments": {"img_size": 224, "init_values": 1e-5, "dynamic_img_size": False},
    "mean": (0.707223, 0.578729, 0.703617),
    "std": (0.211883, 0.230117, 0.177517),
    "tile": 224,
    "file": _WEIGHTS,
    "gated": True,
}

CARDS: Final = (
    EncoderCard(
        name="resnet50",
        title="ImageNet ResNet-50 up to its third stage, as in CLAM and HMIL",
        dim=1024,
        architecture="resnet50.tv_in1k",
        pool="layer3",
        repository="timm/resnet50.tv_in1k",
        file="model.safetensors",
        licence="BSD-3-Clause",
        gated=False,
    ),
    EncoderCard(
        name="uni_v1",
        title="UNI",
        dim=1024,
        architecture="vit_large_patch16_224",
        arguments={"init_values": 1e-5, "dynamic_img_size": True},
        repository="MahmoodLab/UNI",
        file=_WEIGHTS,
        licence=_NO_DERIVATIVES,
        gated=True,
    ),
    EncoderCard(
        name="uni_v2",
        title="UNI2-h",
        dim=1536,
        architecture="vit_giant_patch14_224",
        arguments={
            "img_size": 224,
            "patch_size": 14,
            "depth": 24,
            "num_heads": 24,
            "init_values": 1e-5,
            "embed_dim": 1536,
            "mlp_ratio": 2.66667 * 2,
            "no_embed_class": True,
            "mlp_layer": "SwiGLUPacked",
            "act_layer": "SiLU",
            "reg_tokens": 8,
            "dynamic_img_size": True,
        },
        repository="MahmoodLab/UNI2-h",
        file=_WEIGHTS,
        licence=_NO_DERIVATIVES,
        gated=True,
    ),
    EncoderCard(
        name="virchow",
        title="Virchow, class token and mean of patches",
        dim=2560,
        architecture="vit_huge_patch14_224",
        arguments=_HUGE,
        pool="class+mean",
        repository="paige-ai/Virchow",
        file=_WEIGHTS,
        licence="Apache-2.0",
        gated=True,
        tile=224,
    ),
    EncoderCard(
        name="virchow2",
        title="Virchow2, class token and mean of patches",
        dim=2560,
        architecture="vit_huge_patch14_224",
        arguments={**_HUGE, "reg_tokens": 4},
        pool="class+mean",
        repository="paige-ai/Virchow2",
        file=_WEIGHTS,
        licence=_NO_DERIVATIVES,
        gated=True,
        tile=224,
    ),
    EncoderCard(
        name="hoptimus0",
        title="H-optimus-0",
        dim=1536,
        repository="bioptimus/H-optimus-0",
        licence="Apache-2.0",
        **{**_OPTIMUS, "gated": False},
    ),
    EncoderCard(
        name="hoptimus1",
        title="H-optimus-1",
        dim=1536,
        repository="bioptimus/H-optimus-1",
        licence=_NO_DERIVATIVES,
        **_OPTIMUS,
    ),
    EncoderCard(
        name="gigapath",
        title="Prov-GigaPath's tile encoder",
        dim=1536,
        architecture="vit_giant_patch14_dinov2",
        arguments={
            "img_size": 224,
            "patch_size": 16,
            "depth": 40,
            "num_heads": 24,
            "init_values": 1e-5,
            "embed_dim": 1536,
            "mlp_ratio": 5.33334,
        },
        scaled=256,
        repository="prov-gigapath/prov-gigapath",
        file=_WEIGHTS,
        licence="Prov-GigaPath's own",
        gated=True,
    ),
    EncoderCard(
        name="phikon",
        title="Phikon",
        dim=768,
        architecture="vit_base_patch16_224",
        repository="owkin/phikon",
        file="model.safetensors",
        licence="Owkin's own",
        gated=False,
        tile=224,
    ),
)
