"""The study file of ``mil-bench run STUDY.toml``, checked key by key, and its rules."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from mil_bench.base.config import C, StrictConfig, build, read_toml
from mil_bench.base.errors import ConfigError, UnknownNameError

StudyCell = Mapping[str, object]
"""Coordinates of a run by the keys of a :class:`StudyRule`; unknown ones are left out."""


class StudyRule(StrictConfig):
    """A part of a study: every cell that agrees with all keys of the rule.

    A key is one value or a list of them, written as in the study file.
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
    def coordinates(self) -> dict[str, list[Any]]:
        """Return the keys that the rule has, with their values."""
        return self.model_dump(exclude_none=True)

    def covers(self, cell: StudyCell) -> bool:
        """Return whether the rule holds for ``cell`` whatever its unknown coordinates are."""
        # An unknown coordinate does not agree.
        return all(key in cell and cell[key] in values for key, values in self.coordinates.items())

    def touches(self, cell: StudyCell) -> bool:
        """Return whether the rule may hold for ``cell``, judged by its known coordinates."""
        # An unknown coordinate may agree.
        return all(cell[key] in values for key, values in self.coordinates.items() if key in cell)

    def __str__(self) -> str:
        return ", ".join(
            f"{key} = {', '.join(map(str, values))}" for key, values in self.coordinates.items()
        )


@dataclass(frozen=True)
class Selection:
    """A cell is run if an ``include`` rule holds (or there is none) and no ``exclude`` rule."""

    include: Sequence[StudyRule]
    exclude: Sequence[StudyRule]

    def keeps(self, cell: StudyCell) -> bool:
        """Return whether a cell with all its coordinates is run."""
        included = not self.include or any(rule.covers(cell) for rule in self.include)
        return included and not any(rule.covers(cell) for rule in self.exclude)

    def may_keep(self, cell: StudyCell) -> bool:
        """Return whether some run of a partly known cell may be selected."""
        included = not self.include or any(rule.touches(cell) for rule in self.include)
        # covers and not touches: only what is surely excluded.
        return included and not any(rule.covers(cell) for rule in self.exclude)


WholeNumber = Annotated[int, Field(ge=0)]
StudyFolds = Literal["all"] | Annotated[list[WholeNumber], Field(min_length=1)]
DEFAULT = "default"  # the variant of a study that names none


class StudyDataset(StrictConfig):
    """One of ``datasets``: a name, or a table with its paths and options.

    Paths are relative to the study file. ``encoders``, ``splits`` and ``folds`` override those of
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
    folds: StudyFolds | None = None
    allow_missing: bool = False
    drop_leaky_patients: bool = False
    allow_leaks: bool = False


class StudyVariant(StrictConfig):
    """A named set of settings that override the ``settings`` of the study.

    ``online`` and ``init`` are the values of these options.
    """

    name: str = Field(min_length=1)
    settings: dict[str, Any] = Field({})
    online: str | None = None
    init: str | None = None


class StudyFile(StrictConfig):
    """The keys of a study file; without ``encoders`` or ``splits`` the defaults are used."""

    methods: list[str] = Field(min_length=1)
    datasets: list[StudyDataset] = Field(min_length=1)
    encoders: list[str] | None = Field(None, min_length=1)
    splits: list[str] | None = Field(None, min_length=1)
    folds: StudyFolds = "all"
    seeds: list[WholeNumber] = Field([0], min_length=1)
    settings: dict[str, Any] = Field({})
    variants: list[StudyVariant] = Field([StudyVariant(name=DEFAULT)], min_length=1)
    include: list[StudyRule] = Field([])
    exclude: list[StudyRule] = Field([])
    precision: Literal["32", "bf16", "16"] | None = None
    plugins: list[str] = Field([])

    @property
    def selection(self) -> Selection:
        """Return the rules that select cells of the product."""
        return Selection(self.include, self.exclude)


def read_study(path: Path) -> StudyFile:
    """Return the checked content of a study file.

    Raises ``ConfigError`` or ``UnknownNameError`` that names the wrong table and key. Whether
    methods and datasets exist is not checked.
    """
    content = read_toml(path, "study")
    if isinstance(content.get("datasets"), list):
        # A name alone is a dataset with defaults.
        named = [{"name": d} if isinstance(d, str) else d for d in content["datasets"]]
        content["datasets"] = _tables(StudyDataset, named, f"{path} [[datasets]]")
    for key, model in {
        "variants": StudyVariant,
        "include": StudyRule,
        "exclude": StudyRule,
    }.items():
        if key in content:
            content[key] = _tables(model, content[key], f"{path} [[{key}]]")
    study = build(StudyFile, content, str(path))
    _check_variants(study, path)
    _check_rules(study, path)
    return study


def as_settings(table: Mapping[str, Any]) -> dict[str, str]:
    """Return values as text of ``--set``: ``{"hmil": {"dim": 64}}`` -> ``{"hmil.dim": "64"}``.

    ``"none"`` means no value, which TOML cannot express.
    """
    return {
        # --set reads JSON for all but text.
        key: value if isinstance(value, str) else json.dumps(value, default=str)
        for key, value in _flat(table, "")
    }


def _flat(table: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")  # [settings.hmil] dim = 64 is hmil.dim
        else:
            yield above + key, value


def _tables(model: type[C], content: Any, owner: str) -> list[C]:
    """Every table of an array, checked; messages count from one."""
    if not isinstance(content, list) or not all(isinstance(table, dict) for table in content):
        raise ConfigError(
            f"{owner} is {content!r}; expected tables with keys, see docs/studies.md."
        )
    return [build(model, table, f"{owner} {i}") for i, table in enumerate(content, 1)]


def _check_variants(study: StudyFile, path: Path) -> None:
    names = [variant.name for variant in study.variants]
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise ConfigError(f"{path} has two variants {twice[0]!r}; rename one of them.")


def _check_rules(study: StudyFile, path: Path) -> None:
    """A rule may only name what the study has; folds and default encoders are known later."""
    names_by_key: dict[str, Sequence[object]] = {
        "method": study.methods,
        "dataset": [dataset.name for dataset in study.datasets],
        "variant": [variant.name for variant in study.variants],
        "seed": study.seeds,
    }
    for where, rules in {"include": study.include, "exclude": study.exclude}.items():
        for i, rule in enumerate(rules, 1):
            if not rule.coordinates:
                raise ConfigError(
                    f"{path} [[{where}]] {i} is empty; add a key such as method or fold."
                )
            for key, values in rule.coordinates.items():
                for value in values:
                    # Encoders, splits and folds are known after loading.
                    if key in names_by_key and value not in names_by_key[key]:
                        names = map(str, names_by_key[key])
                        owner = f"{key} in {path} [[{where}]] {i}"
                        raise UnknownNameError(owner, str(value), names)
