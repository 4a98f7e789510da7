"""Which cells of a study are run: the rules of ``[[include]]`` and ``[[exclude]]``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from mil_bench.base.config import C, StrictConfig, build, read_toml
from mil_bench.base.errors import ConfigError, UnknownNameError

Cell = Mapping[str, object]
"""Coordinates of a run by the keys of a :class:`Rule`; those not known yet are left out."""


class Rule(StrictConfig):
    """A part of a study: every cell that agrees with all keys that are given.

    A key is one value or a list of them; values are as the study file writes them.
    """

    method: list[str] | None = None
    dataset: list[str] | None = None
    encoder: list[str] | None = None
    split: list[str] | None = None
    fold: list[int] | None = None
    seed: list[int] | None = None
    variant: list[str] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return value if value is None or isinstance(value, list) else [value]

    @property
    def given(self) -> dict[str, list[Any]]:
        """The keys that the rule names, with their values."""
        return self.model_dump(exclude_none=True)

    def covers(self, cell: Cell) -> bool:
        """Whether the rule holds for ``cell`` whatever its unknown coordinates are."""
        return all(key in cell and cell[key] in values for key, values in self.given.items())

    def touches(self, cell: Cell) -> bool:
        """Whether the rule holds for ``cell`` as far as its coordinates are known."""
        return all(cell[key] in values for key, values in self.given.items() if key in cell)

    def __str__(self) -> str:
        return ", ".join(
            f"{key} = {', '.join(map(str, values))}" for key, values in self.given.items()
        )


@dataclass(frozen=True)
class Selection:
    """A cell is run if an ``include`` rule holds (or there is none) and no ``exclude`` rule."""

    include: Sequence[Rule]
    exclude: Sequence[Rule]

    def keeps(self, cell: Cell) -> bool:
        """Whether a cell, all of whose coordinates are known, is run."""
        included = not self.include or any(rule.covers(cell) for rule in self.include)
        return included and not any(rule.covers(cell) for rule in self.exclude)

    def may_keep(self, cell: Cell) -> bool:
        """Whether some completion of a partly known cell may be run."""
        included = not self.include or any(rule.touches(cell) for rule in self.include)
        return included and not any(rule.covers(cell) for rule in self.exclude)


# The study file: what ``mil-bench run study.toml`` reads, checked key by key.

Number = Annotated[int, Field(ge=0)]
Folds = Literal["all"] | Annotated[list[Number], Field(min_length=1)]
DEFAULT = "default"  # the variant without settings of its own, when a study names no variants


class StudyDataset(StrictConfig):
    """One of ``datasets``: a name alone, or a table that says where it is and how to read it.

    Paths are relative to the study file. ``encoders``, ``splits`` and ``folds`` win over those of
    the study; the other keys are the options of ``mil-bench run`` with the same names.
    """

    name: str
    data_root: str | None = None
    features: str | None = None
    slides: str | None = None
    weights: str | None = None
    tree: str | None = None
    encoders: list[str] | None = Field(None, min_length=1)
    splits: list[str] | None = Field(None, min_length=1)
    folds: Folds | None = None
    allow_missing: bool = False
    drop_leaky_patients: bool = False
    allow_leaks: bool = False


class Variant(StrictConfig):
    """A named set of overrides; it wins over the ``settings`` of the study.

    ``online`` is what ``--online`` says.
    """

    name: str = Field(min_length=1)
    settings: dict[str, Any] = Field({})
    online: str | None = None


class StudyFile(StrictConfig):
    """The keys of a study file. Without ``encoders`` or ``splits`` a dataset's own are used."""

    methods: list[str] = Field(min_length=1)
    datasets: list[StudyDataset] = Field(min_length=1)
    encoders: list[str] | None = Field(None, min_length=1)
    splits: list[str] | None = Field(None, min_length=1)
    folds: Folds = "all"
    seeds: list[Number] = Field([0], min_length=1)
    settings: dict[str, Any] = Field({})
    variants: list[Variant] = Field([Variant(name=DEFAULT)], min_length=1)
    include: list[Rule] = Field([])
    exclude: list[Rule] = Field([])
    precision: Literal["32", "bf16", "16"] | None = None
    plugins: list[str] = Field([])

    @property
    def selection(self) -> Selection:
        """Which cells of the product are run."""
        return Selection(self.include, self.exclude)


def read_study(path: Path) -> StudyFile:
    """The checked content of a study file.

    Raises ``ConfigError`` or ``UnknownNameError`` naming the table and key that is wrong. Whether
    methods and datasets exist is not looked at.
    """
    content = read_toml(path, "study")
    if isinstance(content.get("datasets"), list):
        named = [{"name": d} if isinstance(d, str) else d for d in content["datasets"]]
        content["datasets"] = _tables(StudyDataset, named, f"{path} [[datasets]]")
    for key, model in {"variants": Variant, "include": Rule, "exclude": Rule}.items():
        if key in content:
            content[key] = _tables(model, content[key], f"{path} [[{key}]]")
    study = build(StudyFile, content, str(path))
    _check_variants(study, path)
    _check_rules(study, path)
    return study


def as_settings(table: Mapping[str, Any]) -> dict[str, str]:
    """Values of TOML as the text of ``--set``: ``{"hmil": {"dim": 64}}`` -> ``{"hmil.dim": "64"}``.

    ``"none"`` stands for no value, which TOML does not have.
    """
    return {
        key: value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in _flat(table, "")
    }


def _flat(table: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield above + key, value


def _tables(model: type[C], found: Any, owner: str) -> list[C]:
    """Every table of an array, checked; messages count from one."""
    if not isinstance(found, list) or not all(isinstance(table, dict) for table in found):
        raise ConfigError(f"{owner} is {found!r}; expected tables with keys, see docs/studies.md.")
    return [build(model, table, f"{owner} {i}") for i, table in enumerate(found, 1)]


def _check_variants(study: StudyFile, path: Path) -> None:
    names = [variant.name for variant in study.variants]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ConfigError(f"{path} has two variants {twice[0]!r}; rename one of them.")


def _check_rules(study: StudyFile, path: Path) -> None:
    """A rule may name what the study has; folds and unnamed encoders are known only later."""
    known: dict[str, Sequence[object]] = {
        "method": study.methods,
        "dataset": [dataset.name for dataset in study.datasets],
        "variant": [variant.name for variant in study.variants],
        "seed": study.seeds,
    }
    for where, rules in {"include": study.include, "exclude": study.exclude}.items():
        for i, rule in enumerate(rules, 1):
            if not rule.given:
                raise ConfigError(f"{path} [[{where}]] {i} is empty; add a condition.")
            for key, values in rule.given.items():
                for value in values:
                    if key in known and value not in known[key]:
                        names = map(str, known[key])
                        owner = f"{key} in {path} [[{where}]] {i}"
                        raise UnknownNameError(owner, str(value), names)
