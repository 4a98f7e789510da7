"""A frozen protocol: the data, folds, seeds, scores and anchors that every row of a board shares.

``protocols/<name>.toml`` is never edited; a change is a new file with a new name. Encoder and
features are open, since laboratories differ in them.
"""

from __future__ import annotations

from datetime import date as calendar_date
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pandas as pd
from pydantic import Field, field_validator

from mil_bench.base.atomic import write_bytes, write_text
from mil_bench.base.config import StrictConfig, build, read_toml
from mil_bench.base.errors import ConfigError, DataError, MilBenchError, SplitError
from mil_bench.base.formats import PROTOCOL, format_of
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.base.toml_text import toml_text
from mil_bench.contract.sets import SETS
from mil_bench.contract.spec import DataKind, Experiment
from mil_bench.contract.split import Fold, Split
from mil_bench.evaluation.metrics import TABLE_VERSION
from mil_bench.evaluation.predictions import SeedFold

FOLDER: Final = Path("protocols")
ANCHORS: Final = ("mean", "abmil")
"""Methods at their defaults that every laboratory runs, so that others can be read against them."""


class Protocol(StrictConfig):
    """What runs must share to be on one board.

    They share ``dataset``, ``labels_digest``, ``tree`` and the split by its digest. Where slide ids
    are public, the split is also the table ``split_file`` beside the protocol. ``folds`` and
    ``seeds`` are required, and so are the ``anchors``. ``metrics`` is the version of the scores,
    ``adapter`` the mil-bench that has read the dataset.
    """

    format: int = Field(PROTOCOL, ge=1)
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,80}$")
    date: str
    dataset: str
    kind: DataKind
    adapter: str = ""
    labels_digest: str
    split: str
    split_digest: str
    split_file: str = Field("", pattern=r"^([\w.-]+\.csv)?$")
    folds: tuple[int, ...] = Field(min_length=1)
    seeds: tuple[int, ...] = Field(min_length=1)
    metrics: str = TABLE_VERSION
    anchors: tuple[str, ...] = ANCHORS
    tree: dict[str, Any]

    @field_validator("date")
    @classmethod
    def _real_date(cls, text: str) -> str:
        try:
            calendar_date.fromisoformat(text)
        except ValueError:
            raise ValueError("a date such as 2026-11-30 is expected") from None
        return text

    @field_validator("tree")
    @classmethod
    def _real_tree(cls, tree: dict[str, Any]) -> dict[str, Any]:
        try:
            Taxonomy.from_dict(tree)
        except MilBenchError as error:
            raise ValueError(str(error)) from None
        return tree

    @property
    def taxonomy(self) -> Taxonomy:
        """The label tree."""
        return Taxonomy.from_dict(self.tree)

    @property
    def cells(self) -> tuple[SeedFold, ...]:
        """Every required ``(seed, fold)``."""
        return tuple((seed, fold) for seed in self.seeds for fold in self.folds)

    def differences(self, spec: Experiment) -> list[str]:
        """Return in which facts a run is not of this protocol; empty for a run of one of its cells.

        Each is ``labels (b802262e1286, expected 1abe15)`` and the like.
        """
        tree = Taxonomy.from_dict(spec.tree)
        facts = {
            "dataset": (spec.dataset, self.dataset),
            "labels": (spec.labels_digest, self.labels_digest),
            "tree": (tree.digest(), self.taxonomy.digest()),
            "split": (spec.split_digest, self.split_digest),
        }
        return [
            f"{name} ({present}, expected {expected})"
            for name, (present, expected) in facts.items()
            if present != expected
        ]

    def requires(self, spec: Experiment) -> bool:
        """Return whether a run is of one of the required cells."""
        # The same data, but perhaps another seed.
        return not self.differences(spec) and (spec.seed, spec.fold) in self.cells


def read_protocol(path: Path) -> Protocol:
    """Read a protocol. Raises ``ConfigError`` for a file that is not one, or is of a later format,
    and where its name is not that of the file.
    """
    values = read_toml(path, "protocol")
    format_of(values, PROTOCOL, str(path))
    protocol = build(Protocol, values, f"protocol {path}")
    if protocol.name != path.stem:
        raise ConfigError(f"{path} has the name {protocol.name!r}; expected that of the file.")
    return protocol


def read_split(path: Path, protocol: Protocol) -> Split | None:
    """Return the split of the protocol in the file ``path``; ``None`` where its ids are private.

    Raises ``SplitError`` for a table that does not have the digest of the protocol.
    """
    if not protocol.split_file:
        return None
    file = path.parent / protocol.split_file
    try:
        table = pd.read_csv(file, dtype=str, keep_default_na=False)
        # The first column has the slides.
        columns = [f"fold_{k}" for k in range(len(table.columns) - 1)]
        sets = [
            [table["slide_id"][table[column] == name].tolist() for name in SETS]
            for column in columns
        ]
    except (OSError, ValueError, KeyError) as error:
        raise SplitError(f"cannot read the split {file} of {path} ({error}).") from None
    split = Split(protocol.split, "imported", tuple(Fold(*map(tuple, ids)) for ids in sets))
    if split.digest() != protocol.split_digest:
        raise SplitError(
            f"{file} has the digest {split.digest()}, the protocol {protocol.split_digest}; "
            "restore the file."
        )
    return split


def write_protocol(protocol: Protocol, folder: Path = FOLDER, split: Path | None = None) -> Path:
    """Write ``<folder>/<name>.toml``, and a copy of the table ``split`` beside it.

    Raises ``DataError`` for a protocol that exists.
    """
    path = folder / f"{protocol.name}.toml"
    if path.exists():
        raise DataError(f"{path} exists, and a protocol never changes; choose another name.")
    folder.mkdir(parents=True, exist_ok=True)
    if split is not None:
        protocol = protocol.model_copy(update={"split_file": f"{protocol.name}.csv"})
        write_bytes(folder / protocol.split_file, split.read_bytes())
        read_split(path, protocol)  # read again: the copy must have the digest
    write_text(path, toml_text(protocol.model_dump(mode="json")))
    return path


def protocol_digest(path: Path) -> str:
    """Return the SHA-256 of a protocol's file."""
    return sha256(path.read_bytes()).hexdigest()
