"""Strict, typed configuration: unknown keys are errors, tunable fields have a search range."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from mil_bench.base.errors import ConfigError, UnknownNameError

C = TypeVar("C", bound="StrictConfig")


class StrictConfig(BaseModel):
    """Base of every configuration: immutable, and no key that is not declared."""

    # Frozen: settings are keys of runs.
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    @model_serializer(mode="wrap")
    def _form(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Return the stored form, without :func:`later` fields at their default."""
        unset = {
            name
            for name, field in type(self).model_fields.items()
            if _is_later(field) and getattr(self, name) == field.default
        }
        # Older runs keep their stored form, and so their key.
        return {name: value for name, value in handler(self).items() if name not in unset}


@dataclass(frozen=True)
class SearchRange:
    """Values of one field that a search may try: ``[low, high]`` (``log`` scale) or ``choices``.

    ``where`` are the values of other fields for which this one has an effect; for others it is not
    searched.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
    where: Mapping[str, Any] = field(default_factory=dict)

    @property
    def condition(self) -> str:
        """``where`` in words, such as `` if head=conditional``; empty without conditions."""
        settings = ", ".join(f"{key}={value}" for key, value in self.where.items())
        return f" if {settings}" if settings else ""


def tunable(
    default: Any,
    *,
    low: float | None = None,
    high: float | None = None,
    log: bool = False,
    choices: tuple[Any, ...] = (),
    **constraints: Any,
) -> Any:
    """Declare a field with a search range; ``constraints`` (``ge``, ``le``...) go to pydantic."""
    search = asdict(SearchRange(low, high, log, choices))
    return Field(default, json_schema_extra={"search": search}, **constraints)


def later(default: Any, search: SearchRange | None = None, **constraints: Any) -> Any:
    """Declare a field that older runs do not have; tunable with ``search``.

    At its default it is left out of the stored form, so that the keys of those runs stay the same.
    """
    extra = {} if search is None else {"search": asdict(search)}
    return Field(default, json_schema_extra={"later": True, **extra}, **constraints)


def heads_divide(width: str) -> Any:
    """Make a validator for a class body: field ``width`` is a multiple of field ``heads``."""

    def check(config: C) -> C:
        size, heads = (getattr(config, field) for field in (width, "heads"))
        if size % heads:
            raise ValueError(f"{width} {size} must be a multiple of heads {heads}")
        return config

    return model_validator(mode="after")(check)


def search_space(config: type[StrictConfig]) -> dict[str, SearchRange]:
    """Return the tunable fields of ``config`` with their ranges, in order of declaration."""
    space = {}
    for name, declared in config.model_fields.items():
        search = _search(declared)
        if search is not None:
            space[name] = SearchRange(**search)
    return space


def read_toml(path: Path, kind: str) -> dict[str, Any]:
    """Read a TOML file, called a ``kind`` file in messages. Raises ``ConfigError``."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {kind} file {path}: {error.strerror}; check the path."
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; correct it.") from None


def build(config: type[C], values: Mapping[str, Any], owner: str) -> C:
    """Make a ``config`` from ``values``; strings from a command line are converted.

    ``owner`` names the thing being configured in messages, such as ``"method hmil"``.
    Raises ``UnknownNameError`` for an undeclared key and ``ConfigError`` for a wrong value.
    """
    for key in values:
        if key not in config.model_fields:
            raise UnknownNameError("option", key, config.model_fields, of=owner)
    try:
        return config(**values)
    except ValidationError as error:
        first, *others = error.errors()
        name = _field_name(first["loc"])
        if first["type"] == "missing":
            raise ConfigError(f"{owner}: the required key {name!r} is missing.") from None
        # Every member of a union reports its own error.
        same = [first, *(e for e in others if e["loc"][:1] == first["loc"][:1] and _of_union(e))]
        reasons = dict.fromkeys(_reason(e) for e in same)
        raise ConfigError(
            f"{owner}: {name}={first['input']!r} is not valid ({', or: '.join(reasons)}); correct "
            "the value."
        ) from None


def _field_name(loc: Sequence[int | str]) -> str:
    """``folds.0``: without the members of a union, ``list[int]`` and the like."""
    return ".".join(str(part) for part in loc if "[" not in str(part))


def _of_union(error: ErrorDetails) -> bool:
    """Whether an error belongs to one of several types that a field may have."""
    return any("[" in str(part) for part in error["loc"])


def _reason(error: ErrorDetails) -> str:
    """The words of the ``ValueError`` that a validator of ours raised, else those of pydantic."""
    cause = error.get("ctx", {}).get("error")
    return str(cause) if isinstance(cause, ValueError) else error["msg"]


def _is_later(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, dict) and bool(extra.get("later"))


def _search(field: FieldInfo) -> dict[str, Any] | None:
    extra = field.json_schema_extra
    return extra.get("search") if isinstance(extra, dict) else None  # type: ignore[return-value]
