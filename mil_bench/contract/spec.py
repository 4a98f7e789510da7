"""Everything that defines a run: its data, trainer settings, online training, the run key.

The key is a prefix of the SHA-256 of the canonical JSON: content, never paths, hardware or worker
count. The same key is the same experiment. Nothing heavy is imported here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final, Literal

from pydantic import Field

from mil_bench.base.config import StrictConfig, build, later, tunable
from mil_bench.base.errors import UsageError

Monitor = Literal["loss", "accuracy", "balanced_accuracy", "macro_auc", "macro_f1"]


class TrainerConfig(StrictConfig):
    """Settings of a training; a method's ``recipe`` and a dataset's overrides change defaults."""

    optimizer: Literal["adam", "adamw", "lookahead_radam"] = "adam"
    lr: float = tunable(1e-4, low=1e-5, high=1e-2, log=True, gt=0)
    weight_decay: float = tunable(1e-5, low=1e-6, high=1e-2, log=True, ge=0)
    epochs: int = Field(50, ge=1)
    batch_size: int = tunable(1, choices=(1, 4, 16, 64), ge=1)  # bags per packed step
    accumulate: int = Field(1, ge=1)  # packed steps per optimiser step
    clip_norm: float | None = Field(None, gt=0)
    schedule: Literal["constant", "cosine", "plateau"] = "constant"
    warmup_epochs: float = Field(0, ge=0)
    class_weighting: Literal["none", "balanced"] = "none"
    sampling: Literal["shuffle", "balanced"] = "shuffle"
    max_instances: int | None = Field(None, ge=1)  # random subset per bag in training only
    monitor: Monitor = "loss"  # on validation bags
    patience: int | None = Field(None, ge=1)  # epochs without improvement before stopping
    min_epochs: int = Field(0, ge=0)
    train: Literal["all", "head"] = later("all")  # head: the body keeps its initial weights


# Training of features together with the method: ``--online``.

ONLINE_FORMS = "adapter, adapter=WIDTH, blocks=N or blocks=N,tiles=K"


class AdapterTraining(StrictConfig):
    """A residual adapter on the stored features; ``adapter`` is its hidden width."""

    adapter: int = Field(64, ge=1)


class BlockTraining(StrictConfig):
    """The last ``blocks`` blocks of the encoder, trained on ``tiles`` tiles per bag and step."""

    blocks: int = Field(ge=1)
    tiles: int = Field(32, ge=1)


Online = AdapterTraining | BlockTraining


def parse_online(text: str) -> Online:
    """Parse the value of ``--online``: ``adapter``, ``adapter=32``, ``blocks=2,tiles=16``.

    Raises ``UsageError`` (or one of its kinds) for anything else.
    """
    words = [word.strip() for word in text.split(",")]
    values: dict[str, Any] = {}
    for word in words:
        name, equals, value = (part.strip() for part in word.partition("="))
        # Repeated, without a value, or a word that needs one.
        if name in values or (equals and not value) or (not equals and word != "adapter"):
            raise UsageError(
                f"--online {text!r} cannot be read at {word!r}; expected {ONLINE_FORMS}."
            )
        values[name] = value
    if not {"adapter", "blocks"} & set(values):
        raise UsageError(f"--online {text!r} is neither kind; expected {ONLINE_FORMS}.")
    settings = {name: value for name, value in values.items() if value}
    if "adapter" in values:
        return build(AdapterTraining, settings, "--online")
    return build(BlockTraining, settings, "--online")


def as_words(online: Online) -> str:
    """Return the value of ``--online`` that :func:`parse_online` reads: ``blocks=2,tiles=16``."""
    return ",".join(f"{name}={value}" for name, value in online.model_dump().items())


# The definition of a run, and its key.

DataKind = Literal["real", "embedded", "simulated"]
Precision = Literal["32", "bf16", "16"]
Evidence = Literal["trained", "external", "transferred", "site report"]
KEY_LENGTH = 16
HARNESS = "2"
"""Raised when a change of layers, loop or optimisers alters the results of every method."""


class Experiment(StrictConfig):
    """Predictions for one fold of one dataset, whatever made them: what every run says.

    ``evidence`` is how they came about. An empty text or 0 is unknown.
    """

    evidence: Evidence = later("trained")
    dataset: str
    kind: DataKind
    labels_digest: str
    tree: dict[str, Any]
    split: str
    split_digest: str
    fold: int
    encoder: str = ""
    dim: int = 0
    features_digest: str = ""
    method: str
    method_version: str = ""
    method_config: dict[str, Any] = Field(default_factory=dict)
    seed: int

    def canonical(self) -> str:
        """Return JSON with sorted keys and no blanks."""
        # Canonical: the same content has the same bytes.
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))

    @property
    def key(self) -> str:
        """Hex key of the experiment."""
        return sha256(self.canonical().encode()).hexdigest()[:KEY_LENGTH]

    @property
    def title(self) -> str:
        """One line for people: ``hmil on digit-bags, fold 0, seed 1``."""
        return f"{self.method} on {self.dataset}, fold {self.fold}, seed {self.seed}"

    @property
    def shuffled_tree(self) -> bool:
        """Whether its upper heads decide other classes than those of ``tree``."""
        return bool(self.method_config.get("tree") == "shuffled")


class RunSpec(Experiment):
    """One experiment: one method trained once on one fold of one dataset."""

    evidence: Literal["trained"] = later("trained")
    encoder: str
    dim: int
    features_digest: str
    standardize: bool = False
    method_version: str
    method_config: dict[str, Any]
    harness: str = HARNESS
    trainer: TrainerConfig
    precision: Precision = "32"
    online: Online | None = later(None)
    init: str | None = later(None)  # SHA-256 of the file of weights that the training begins from


class ExternalSpec(Experiment):
    """Predictions made elsewhere, read from a file; ``file_digest`` is its SHA-256.

    Nothing is said of their training, because nothing about it is known. With ``decisions_only``
    the stored probabilities are 0 and 1.
    """

    evidence: Literal["external"] = "external"
    file_digest: str
    decisions_only: bool = later(False)


class TransferredSpec(Experiment):
    """Predictions for a dataset by a model that was trained on another one.

    ``source`` is the run of the model; split, fold and seed are those of its training.
    """

    evidence: Literal["transferred"] = "transferred"
    source: RunSpec

    @property
    def trained_on(self) -> str:
        """The dataset of the training."""
        return self.source.dataset


_KINDS: Final[Mapping[str, type[Experiment]]] = {
    "trained": RunSpec,
    "external": ExternalSpec,
    "transferred": TransferredSpec,
}


def read_definition(content: Mapping[str, Any]) -> Experiment:
    """Return the definition that the content of a ``spec.json`` holds, by its ``evidence``.

    Raises ``ValueError`` for content that is not a definition of this version.
    """
    evidence = content.get("evidence", "trained")
    if evidence not in _KINDS:
        raise ValueError(f"evidence {evidence!r}; expected {', '.join(_KINDS)}")
    return _KINDS[evidence](**content)
