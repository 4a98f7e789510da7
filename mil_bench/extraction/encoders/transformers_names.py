"""The weights of a Hugging Face ``ViTModel`` under timm's names, for encoders kept in that form."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

_EMBEDDINGS = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
_PARTS = {
    "attention.output.dense": "attn.proj",
    "intermediate.dense": "mlp.fc1",
    "output.dense": "mlp.fc2",
    "layernorm_before": "norm1",
    "layernorm_after": "norm2",
}
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)\.(weight|bias)")
_QUERY = "attention.attention.query"
_NOT_USED = ("pooler.", "embeddings.mask_token")


def is_transformers(weights: Mapping[str, Tensor]) -> bool:
    """Whether the weights have the names of the transformers library."""
    return "embeddings.cls_token" in weights


def to_timm(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights for ``timm``; unknown names stay, so that loading reports them."""
    found = {}
    for name, tensor in weights.items():
        layer = _LAYER.fullmatch(name)
        if name.startswith(_NOT_USED):
            continue
        if layer is None:
            found[_EMBEDDINGS.get(name, name)] = tensor
        elif layer[2] == _QUERY:
            parts = [weights[name.replace("query", part)] for part in ("query", "key", "value")]
            found[f"blocks.{layer[1]}.attn.qkv.{layer[3]}"] = torch.cat(parts)
        elif layer[2] in _PARTS:
            found[f"blocks.{layer[1]}.{_PARTS[layer[2]]}.{layer[3]}"] = tensor
        elif not layer[2].startswith("attention.attention."):
            found[name] = tensor
    return found
