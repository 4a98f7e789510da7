"""Weights that a training begins from: an export of ours, or a file of published weights.

The *body* of a method is taken from the file, tensor by tensor; all of it must be there. The *head*
(:attr:`mil_bench.contract.method.Method.head_layers`) is new, unless an export has the same label
tree.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from mil_bench.base.errors import ConfigError, DataError, RunError, counted
from mil_bench.base.finding import Note
from mil_bench.contract.method import Method
from mil_bench.contract.spec import RunSpec
from mil_bench.training.exported_model import (
    ExportedModel,
    check_finite,
    is_exported,
    read_exported,
    read_safetensors,
)
from mil_bench.training.online.wrapped import Adapted, WrappedMethod

TORCH_SUFFIXES: Final = (".bin", ".pt", ".pth", ".ckpt")
FEATHER: Final = {
    "patch_embed.0": "project.0",
    "global_attn.attention_a.0": "attention.value",
    "global_attn.attention_b.0": "attention.gate",
    "global_attn.attention_c": "attention.score",
    "classifier": "classifier",
}
"""Layers of MIL-Lab's ABMIL checkpoints by their names in ``abmil`` and ``aem``."""
_FEATHER_METHODS: Final = ("abmil", "aem")


@dataclass(frozen=True)
class InitialWeights:
    """A file of weights that was read; ``digest`` is its SHA-256, part of the run key.

    ``tensors`` have the names of the method's layers, ``named`` are those of the file. ``facts``
    are those of an export, ``source`` says what the file is.
    """

    path: Path
    digest: str
    tensors: Mapping[str, Tensor]
    named: Mapping[str, str]
    source: str
    facts: ExportedModel | None = None


@dataclass(frozen=True)
class MatchedWeights:
    """What a method takes from a file: the names of tensors, and whether its head is among them."""

    body: tuple[str, ...]
    head: tuple[str, ...]

    def describe(self) -> dict[str, Any]:
        """Return what ``env.json`` keeps."""
        return {"body": len(self.body), "head": "kept" if self.head else "new"}


def read_initial_weights(path: Path) -> InitialWeights:
    """Read a folder that ``mil-bench export`` wrote, a .safetensors file, or one of tensors.

    Files of ``torch.save`` are read with ``weights_only``: tensors, no code. Raises ``DataError``
    for anything else.
    """
    if is_exported(path):
        exported = read_exported(path if path.is_dir() else path.parent)
        facts = exported.facts
        source = f"{facts.method} trained on {facts.dataset}"
        names = {name: name for name in exported.tensors}
        return InitialWeights(path, facts.weights, exported.tensors, names, source, facts)
    if not path.exists():
        raise DataError(f"{path} does not exist; check the path of --init.")
    if path.is_dir():
        raise DataError(
            f"{path} is a folder without model.json; pass the folder of an export, or a file of "
            "weights."
        )
    if path.suffix.lower() == ".safetensors":
        tensors, digest = read_safetensors(path)
    else:
        tensors, digest = _read_torch(path)
    return _named(path, digest, tensors)


def match_weights(weights: InitialWeights, method: Method, name: str) -> MatchedWeights:
    """Compare a file with ``method``, called ``name``, which may be on the meta device.

    Raises ``ConfigError`` where a tensor of the body is missing, unknown or of another shape.
    """
    facts = weights.facts
    if facts is not None and facts.method != name:
        raise ConfigError(
            f"{weights.path} holds a model of method {facts.method}, but the run trains {name}; "
            f"use --method {facts.method}."
        )
    if facts is None and weights.source == "FEATHER" and name not in _FEATHER_METHODS:
        raise ConfigError(
            f"{weights.path} holds a FEATHER model, a gated ABMIL; use --method abmil or aem."
        )
    target = _target(weights, method)
    expected, tensors = target.state_dict(), weights.tensors
    body = {n for n in expected if not target.is_head(n)}
    if not body:
        raise ConfigError(
            f"method {name} is a head alone, so it has nothing to begin from {weights.path}; leave "
            "out --init."
        )
    offered = {n for n in tensors if not target.is_head(n)}
    advice = _advice(weights, target)
    _check_names(weights, name, body, offered, advice)
    for layer in sorted(body):
        if tensors[layer].shape != expected[layer].shape:
            raise ConfigError(
                f"{weights.path}: layer {_as_in_file(weights, layer)} has shape "
                f"{tuple(tensors[layer].shape)}, but {name} has {tuple(expected[layer].shape)}; "
                f"{advice}."
            )
    head = {n for n in expected if target.is_head(n)}  # shapes of the head depend on the tree
    kept = _same_tree(weights, target) and all(
        n in tensors and tensors[n].shape == expected[n].shape for n in head
    )
    return MatchedWeights(tuple(sorted(body)), tuple(sorted(head)) if kept else ())


def load_initial_weights(weights: InitialWeights, method: Method, name: str) -> MatchedWeights:
    """Put the weights of a file into ``method`` and return what was taken.

    Raises as :func:`match_weights`.
    """
    matched = match_weights(weights, method, name)
    taken = {n: weights.tensors[n] for n in (*matched.body, *matched.head)}
    # strict=False: a new head is not in the file.
    _target(weights, method).load_state_dict(taken, strict=False)
    return matched


def of_run(spec: RunSpec, path: Path | None) -> InitialWeights | None:
    """Return the initial weights that ``spec`` names, read from ``path``.

    Raises ``RunError`` where the file is not known or has changed since the run was planned.
    """
    if spec.init is None:
        return None
    if path is None:
        raise RunError(
            f"{spec.title} begins from weights with SHA-256 {spec.init[:12]}, whose file is not "
            "known; rerun its original command with --init."
        )
    weights = read_initial_weights(path)
    if weights.digest != spec.init:
        raise RunError(
            f"{path} has changed since {spec.title} was planned (SHA-256 {weights.digest[:12]}, "
            f"planned {spec.init[:12]}); restore the file, or plan the run again."
        )
    return weights


def leak_of(weights: InitialWeights, spec: RunSpec) -> Note | None:
    """Return a note where the file was trained on slides that ``spec`` may test, else ``None``."""
    facts = weights.facts
    if facts is None or (facts.dataset, facts.labels_digest) == ("", ""):
        return None
    same_data = facts.dataset == spec.dataset or facts.labels_digest == spec.labels_digest
    same_fold = (facts.split_digest, facts.fold) == (spec.split_digest, spec.fold)
    if not same_data or same_fold:  # the same fold has seen its own training slides alone
        return None
    return Note(
        "leak",
        f"the initial weights were trained on fold {facts.fold} of {facts.split}, so they may have "
        f"seen test slides of fold {spec.fold} of {spec.split}",
    )


def freeze_body(method: Method) -> None:
    """Let only the head of ``method`` be trained, for ``--set train=head``.

    Raises ``ConfigError`` for a method without parameters in the head that it declares.
    """
    for name, parameter in method.named_parameters():
        if not method.is_head(name):
            parameter.requires_grad_(False)
    if not any(parameter.requires_grad for parameter in method.parameters()):
        raise ConfigError(
            f"train=head trains nothing: no parameter of the method belongs to its head_layers "
            f"{method.head_layers}; name its classifier there (docs/add-a-method.md)."
        )


def _read_torch(path: Path) -> tuple[dict[str, Tensor], str]:
    if path.suffix.lower() not in TORCH_SUFFIXES:
        raise DataError(
            f"{path} is not a file of weights; expected .safetensors, "
            f"{', '.join(TORCH_SUFFIXES)}, or the folder of an export."
        )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path.") from None
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # a damaged file makes the unpickler raise anything
        raise DataError(
            f"{path} is damaged or holds more than tensors, which is never unpickled; save its "
            "state_dict as .safetensors."
        ) from None
    if isinstance(state, Mapping) and {"best_model", "history"} <= set(state):
        raise DataError(
            f"{path} is the checkpoint of a run; export it (`mil-bench export --run KEY`) and "
            "pass the folder of the export."
        )
    for key in ("state_dict", "model"):  # as training scripts wrap it
        if isinstance(state, Mapping) and isinstance(state.get(key), Mapping):
            state = state[key]
    if not isinstance(state, Mapping) or not state or not all(map(_is_tensor, state.items())):
        raise DataError(f"{path} holds no dictionary of tensors by name; save a state_dict.")
    check_finite(path, state)
    return dict(state), sha256(content).hexdigest()


def _is_tensor(item: tuple[object, object]) -> bool:
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def _named(path: Path, digest: str, tensors: Mapping[str, Tensor]) -> InitialWeights:
    """The tensors by the names of our layers, where the source is known."""
    # Checkpoints of a wrapped model.
    prefix = "model." if all(name.startswith("model.") for name in tensors) else ""
    bare = {name.removeprefix(prefix): name for name in tensors}
    if not any(name.startswith("global_attn.") for name in bare):
        return InitialWeights(path, digest, tensors, {n: n for n in tensors}, "a file of weights")
    named: dict[str, str] = {}
    for name, original in bare.items():
        layer, _, kind = name.rpartition(".")
        named[f"{FEATHER[layer]}.{kind}" if layer in FEATHER else name] = original
    renamed = {name: tensors[original] for name, original in named.items()}
    return InitialWeights(path, digest, renamed, named, "FEATHER")


def _target(weights: InitialWeights, method: Method) -> Method:
    """The module whose layers the file has: the method, or the one inside of an adapter."""
    adapter = weights.facts.adapter if weights.facts is not None else None
    if adapter is None:
        return method.inner if isinstance(method, WrappedMethod) else method
    if not isinstance(method, Adapted) or method.down.out_features != adapter:
        raise ConfigError(
            f"{weights.path} was trained with an adapter of width {adapter}; pass --online "
            f"adapter={adapter}."
        )
    return method


def _check_names(
    weights: InitialWeights, name: str, body: set[str], offered: set[str], advice: str
) -> None:
    missing, unknown = sorted(body - offered), sorted(offered - body)
    if not (missing or unknown):
        return
    parts = []
    if missing:
        parts.append(
            f"lacks {len(missing)} of the {len(body)} tensors of the body of {name} "
            f"({', '.join(missing)})"
        )
    if unknown:
        originals = ", ".join(weights.named[n] for n in unknown)
        parts.append(f"holds {counted(len(unknown), 'tensor')} that {name} lacks ({originals})")
    raise ConfigError(f"{weights.path} {' and '.join(parts)}; {advice}.")


def _as_in_file(weights: InitialWeights, name: str) -> str:
    original = weights.named[name]
    return repr(name) if original == name else f"{name!r} ({original!r} in the file)"


def _advice(weights: InitialWeights, method: Method) -> str:
    """What to pass so that the method has the sizes of the file."""
    facts, tensors = weights.facts, weights.tensors
    if facts is not None:
        if facts.dim != method.dim:
            return f"its features have {facts.dim} numbers ({facts.encoder}), these {method.dim}"
        own = method.config.model_dump(mode="json")
        differing = {k: v for k, v in facts.method_config.items() if own.get(k) != v}
        settings = " ".join(f"--set {k}={v}" for k, v in differing.items())
        return f"pass {settings}, as in its training" if settings else "export it again"
    first, value = tensors.get("project.0.weight"), tensors.get("attention.value.weight")
    if weights.source == "FEATHER" and first is not None and value is not None:
        return (
            f"it reads {first.shape[-1]} features per patch and requires --set "
            f"width={first.shape[0]} --set hidden={value.shape[0]}"
        )
    return "set the method's sizes as in the file, or use other weights"


def _same_tree(weights: InitialWeights, method: Method) -> bool:
    return weights.facts is not None and weights.facts.taxonomy.paths == method.taxonomy.paths
