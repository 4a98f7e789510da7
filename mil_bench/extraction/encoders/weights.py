"""Weights of an encoder: from a local file, downloaded on demand, or random."""

from __future__ import annotations

import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path

import torch
from torch import Tensor, nn

from mil_bench.base.errors import MilBenchError, UsageError
from mil_bench.extraction.encoders.cards import EncoderCard

RANDOM_SEED = 0
WRAPPERS = ("state_dict", "model")  # keys under which training code keeps the weights
HEADS = ("head.", "fc.", "classifier.")
SHOWN = 3


@dataclass(frozen=True)
class WeightsChoice:
    """Where weights come from: one of a file, a download, or chance."""

    checkpoint: Path | None = None
    download: bool = False
    random: bool = False

    def resolve(self, card: EncoderCard) -> Path | None:
        """Return the file to load, ``None`` for random weights.

        Raises ``UsageError`` when nothing was chosen, and names the file that is expected.
        """
        if self.random:
            return None
        if self.checkpoint is not None:
            if not self.checkpoint.is_file():
                raise UsageError(
                    f"{self.checkpoint}: there is no such checkpoint; expected {card.origin}."
                )
            return self.checkpoint
        if self.download:
            return _download(card)
        raise UsageError(
            f"encoder {card.name} requires weights: {card.origin} "
            f"({card.licence}{', access must be requested there' if card.gated else ''}); download "
            "that file and pass it with --weights, or use --download, or --random-weights for "
            "testing."
        )


def described(path: Path | None) -> str:
    """Return what identifies weights in a feature file: the file's digest, or the random seed."""
    if path is None:
        return f"random, seed {RANDOM_SEED}"
    with path.open("rb") as file:
        # Of the content: names of files change.
        return f"sha256:{file_digest(file, 'sha256').hexdigest()[:16]}"


def load_weights(network: nn.Module, path: Path, card: EncoderCard) -> None:
    """Put the weights of ``path`` into ``network``; the head of a classifier is left out.

    Raises ``MilBenchError`` when the file is not a checkpoint, or of another architecture.
    """
    weights = read_weights(path)
    weights = to_timm(weights) if is_transformers(weights) else weights
    expected = network.state_dict()
    dropped = (*HEADS, "layer4.") if card.pool == "layer3" else HEADS
    # Heads of classifiers are not used. A tensor that the network lacks is otherwise an error.
    stored = {k: v for k, v in weights.items() if k in expected or not k.startswith(dropped)}
    # Counters of batch norm are not weights.
    missing = [k for k in expected if k not in stored and not k.endswith("num_batches_tracked")]
    foreign = [k for k in stored if k not in expected]
    reshaped = [k for k in stored if k in expected and stored[k].shape != expected[k].shape]
    wrong = (("missing", missing), ("not known", foreign), ("of another shape", reshaped))
    if missing or foreign or reshaped:
        differences = "; ".join(
            f"{len(keys)} {what} ({', '.join(keys[:SHOWN])})" for what, keys in wrong if keys
        )
        raise MilBenchError(
            f"{path} is not a checkpoint of {card.name} ({card.architecture}): its tensors are "
            f"{differences}; expected {card.origin}."
        )
    # strict=False only for these counters; all else was checked.
    network.load_state_dict(stored, strict=False)


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Read tensors by name from ``.safetensors`` or a file of ``torch.save``; no code is run."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise MilBenchError(
            f"{path} is not a checkpoint of plain tensors: it is damaged or contains code. Save "
            "its state_dict as .safetensors."
        ) from None
    except Exception as error:  # a damaged file makes either library raise anything
        reason = f"{type(error).__name__} {error}".splitlines()[0].rstrip(".")
        raise MilBenchError(
            f"{path} is truncated, damaged or not a checkpoint ({reason}); download it again."
        ) from None
    for key in WRAPPERS:  # wrappers may be nested
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    tensors = isinstance(content, Mapping) and all(isinstance(v, Tensor) for v in content.values())
    if not tensors or not content:
        raise MilBenchError(f"{path} holds no dictionary of tensors; expected only a state_dict.")
    # DataParallel's prefix.
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def _download(card: EncoderCard) -> Path:
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(card.repository, card.file))
    except Exception as error:  # network, permission and hub errors of several libraries
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        advice = "log in with `hf auth login` after access is granted there, " if card.gated else ""
        raise MilBenchError(
            f"{card.origin} could not be downloaded ({reason}); {advice}or download the file in a "
            "browser and pass it with --weights."
        ) from None


# The weights of a Hugging Face ``ViTModel`` under timm's names, for encoders kept in that form.

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
    """Return whether the weights have the names of the transformers library."""
    return "embeddings.cls_token" in weights


def to_timm(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the same weights for ``timm``; unknown names stay, so that loading reports them."""
    renamed = {}
    for name, tensor in weights.items():
        layer = _LAYER.fullmatch(name)
        if name.startswith(_NOT_USED):
            continue
        if layer is None:
            renamed[_EMBEDDINGS.get(name, name)] = tensor
        elif layer[2] == _QUERY:
            # timm keeps the three projections in one.
            parts = [weights[name.replace("query", part)] for part in ("query", "key", "value")]
            renamed[f"blocks.{layer[1]}.attn.qkv.{layer[3]}"] = torch.cat(parts)
        elif layer[2] in _PARTS:
            renamed[f"blocks.{layer[1]}.{_PARTS[layer[2]]}.{layer[3]}"] = tensor
        # Keys and values went in with the query.
        elif not layer[2].startswith("attention.attention."):
            renamed[name] = tensor
    return renamed
