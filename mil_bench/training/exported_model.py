"""A model that ``mil-bench export`` wrote: ``model.json`` beside ``model.safetensors``.

Both are data: nothing is unpickled and no code of the files is run. Tensors that do not fit are
refused in one sentence, before any memory for the model is taken.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, Literal

import safetensors.torch
import torch
from pydantic import Field
from torch import Tensor

from mil_bench.bags.conversion import Standardization
from mil_bench.base.config import StrictConfig, build
from mil_bench.base.errors import DataError, MilBenchError, UsageError
from mil_bench.base.formats import EXPORT, format_of
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.method import Method
from mil_bench.contract.spec import DataKind, Precision
from mil_bench.methods import METHODS
from mil_bench.training.online.wrapped import Adapted

FACTS_FILE: Final = "model.json"
WEIGHTS_FILE: Final = "model.safetensors"
MEAN, STD = "standardization.mean", "standardization.std"
_LARGEST = 16_000_000  # bytes of a model.json; a tree of ten thousand classes has one


class ExportedModel(StrictConfig):
    """Content of ``model.json``: what has to be known of a trained model besides its weights.

    ``run`` is the key of its run, ``weights`` the SHA-256 of the file of weights. ``patches`` is
    the scale of its patches, as far as it is known: ``mpp`` and ``pixels``. ``adapter`` is the
    width of a trained adapter in front of the method. ``classes`` repeats those of ``tree``.
    """

    format: Literal[1]
    mil_bench: str
    run: str
    weights: str
    method: str
    method_version: str
    method_config: dict[str, Any]
    adapter: int | None = Field(None, ge=1, le=65536)
    dim: int = Field(ge=1, le=1_000_000)
    encoder: str
    standardize: bool
    patches: dict[str, float]
    tree: dict[str, Any]
    classes: dict[str, tuple[str, ...]]
    dataset: str
    kind: DataKind
    labels_digest: str
    features_digest: str
    split: str
    split_digest: str
    fold: int
    seed: int
    harness: str
    precision: Precision

    @property
    def taxonomy(self) -> Taxonomy:
        """The label tree of the model."""
        return Taxonomy.from_dict(self.tree)


@dataclass(frozen=True)
class ExportedWeights:
    """An export that was read: its facts and its tensors on the host, by name.

    ``tensors`` are those of the method; ``standardization`` is that of its training bags.
    """

    folder: Path
    facts: ExportedModel
    tensors: Mapping[str, Tensor]
    standardization: Standardization | None


def is_exported(path: Path) -> bool:
    """Return whether ``path`` is the folder of an export, or its file of weights."""
    folder = path if path.is_dir() else path.parent
    return (folder / FACTS_FILE).is_file() and (path.is_dir() or path.name == WEIGHTS_FILE)


def read_exported(folder: Path) -> ExportedWeights:
    """Read and check the export in ``folder``.

    Raises ``DataError`` for an incomplete, damaged or changed export, and for one of a newer
    format.
    """
    facts = _facts(folder / FACTS_FILE)
    tensors, digest = read_safetensors(folder / WEIGHTS_FILE)
    if digest != facts.weights:
        raise DataError(
            f"{folder / WEIGHTS_FILE} is not the file that was exported (SHA-256 {digest[:12]}, "
            f"{FACTS_FILE} has {facts.weights[:12]}); copy the whole folder again."
        )
    mean, std = tensors.pop(MEAN, None), tensors.pop(STD, None)  # no tensors of the method
    standardization = None
    if facts.standardize:
        if mean is None or std is None or {mean.shape, std.shape} != {(facts.dim,)}:
            raise DataError(
                f"{folder / WEIGHTS_FILE} lacks {MEAN} and {STD} of {facts.dim} numbers each, "
                "although its model reads standardised features; export it again."
            )
        standardization = Standardization(mean.float(), std.float())
    return ExportedWeights(folder, facts, tensors, standardization)


def read_safetensors(path: Path) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a .safetensors file on the host, and the SHA-256 of the file.

    Raises ``DataError`` for a file that is damaged or holds numbers that are not finite.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}; check the path.") from None
    try:
        tensors = safetensors.torch.load(content)
    except Exception as error:  # of several classes of the library and of torch
        reason = (str(error).splitlines() or [type(error).__name__])[0][:120]
        raise DataError(
            f"{path} is damaged or no .safetensors file ({reason}); copy or export it again."
        ) from None
    check_finite(path, tensors)
    return tensors, sha256(content).hexdigest()


def check_finite(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Raise ``DataError`` where a tensor of a file holds NaN or Inf."""
    bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise DataError(
            f"{path}: tensor {bad[0]!r} holds NaN or Inf; use weights of a training that converged."
        )


def build_exported(weights: ExportedWeights) -> Method:
    """Return the trained method of an export in evaluation mode, on the host, in float32.

    Raises ``UsageError`` for a method that is not registered, ``DataError`` for another version of
    it and for tensors that do not fit. The random numbers of the process stay unchanged.
    """
    facts, where = weights.facts, weights.folder
    if facts.method not in METHODS:
        raise UsageError(
            f"method {facts.method!r} of {where} is not registered; load the file that defines it "
            "(--plugin, or load_model(..., plugins=[FILE]))."
        )
    version = METHODS.get(facts.method).version
    if version != facts.method_version:
        raise DataError(
            f"{where} holds version {facts.method_version} of {facts.method}, but version "
            f"{version} is installed; export a run of this version, or install mil-bench "
            f"{facts.mil_bench}."
        )
    # On the meta device first, which takes no memory: a wrong size is a sentence, not a full host.
    try:
        with torch.device("meta"):
            expected = _untrained(facts, where).state_dict()
    except (NotImplementedError, RuntimeError):  # a plug-in that computes while it is built
        expected = None
    if expected is not None:
        _check_shapes(weights, expected)
    # Initial weights draw random numbers, which are overwritten.
    with torch.random.fork_rng(devices=[]):
        method = _untrained(facts, where)
    if expected is None:
        _check_shapes(weights, method.state_dict())
    method.load_state_dict(dict(weights.tensors))
    return method.eval()


def _facts(path: Path) -> ExportedModel:
    try:
        if path.stat().st_size > _LARGEST:
            raise DataError(
                f"{path} is larger than {_LARGEST // 10**6} MB, so it is not an export."
            )
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}; expected a folder that `mil-bench export` "
            "wrote."
        ) from None
    except (ValueError, RecursionError):
        raise DataError(f"{path} is damaged (no valid JSON); copy or export it again.") from None
    if not isinstance(content, dict):
        raise DataError(f"{path} holds no facts of a model; copy or export it again.")
    format_of(content, EXPORT, str(path))
    try:
        facts = build(ExportedModel, content, str(path))
        # Repeated for people: they must agree.
        if facts.classes != {k: tuple(v) for k, v in facts.taxonomy.classes.items()}:
            raise DataError(f"{path}: `classes` differ from those of `tree`; export it again.")
    except DataError:
        raise
    except MilBenchError as error:
        text = str(error)
        raise DataError(text if str(path) in text else f"{path}: {text}") from None
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        raise DataError(f"{path}: its label tree is damaged; copy or export it again.") from None
    return facts


def _untrained(facts: ExportedModel, where: Path) -> Method:
    cls = METHODS.get(facts.method)
    config = build(cls.Config, facts.method_config, f"{where / FACTS_FILE}: method {facts.method}")
    method = cls(config, facts.dim, facts.taxonomy)
    return method if facts.adapter is None else Adapted(method, facts.adapter)


def _check_shapes(weights: ExportedWeights, expected: Mapping[str, Tensor]) -> None:
    where, stored = weights.folder / WEIGHTS_FILE, weights.tensors
    for names, fault in (  # both directions: lacking and unknown
        (expected.keys() - stored.keys(), "lacks"),
        (stored.keys() - expected.keys(), "holds the unknown tensor"),
    ):
        if names:
            raise DataError(
                f"{where} {fault} {min(names)!r} of method {weights.facts.method}; copy or export "
                "it again."
            )
    for name, tensor in expected.items():
        if tensor.shape != stored[name].shape:
            raise DataError(
                f"{where}: layer {name!r} has shape {tuple(stored[name].shape)}, but {FACTS_FILE} "
                f"describes {tuple(tensor.shape)}; copy or export it again."
            )
