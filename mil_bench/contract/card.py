"""The card of a method: everything that a method declares about itself, as data.

The terminal, the Markdown page and the HTML page of boards draw this one card.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from mil_bench.base.config import SearchRange, search_space
from mil_bench.contract.method import Method, MethodConfig, PaperCard

ChangeKind = Literal["component", "variant", "control", "twin"]
MethodNeeds = Literal["", "order", "coordinates"]
HEAD = "head"  # the setting with which flat methods choose among heads


@dataclass(frozen=True)
class Setting:
    """A setting of the method: its default, the values it takes and the range of a search.

    ``values`` are words for kinds (``number``) and choices as ``--set`` takes them.
    """

    name: str
    default: Any
    values: tuple[str, ...]
    search: SearchRange | None

    @property
    def searched(self) -> str:
        """Return what a search takes, such as ``0.1 to 10.0 (log)``; empty if not tunable."""
        if self.search is None:
            return ""
        ends = f"{self.search.low} to {self.search.high}"
        values = ", ".join(map(as_set, self.search.choices)) or ends
        return values + " (log)" * self.search.log + self.search.condition


@dataclass(frozen=True)
class MethodChange:
    """What ``mil-bench ablate`` can do; the overrides of a component remove it."""

    name: str
    kind: ChangeKind
    title: str
    overrides: Mapping[str, Any]


@dataclass(frozen=True)
class Cost:
    """What the method costs on whole slides: ``cells`` under ``header``; ``note``: how measured."""

    header: tuple[str, ...]
    cells: tuple[str, ...]
    note: str


@dataclass(frozen=True)
class MethodCard:
    """A method as it describes itself.

    ``about`` and ``settings_about`` are the docstrings of the method and of its configuration.
    ``defaults`` is the stored form of the default configuration (JSON values). ``heads`` are the
    heads that ``--head`` takes, empty for methods with their own. ``needs`` is what the method
    requires of the patches. ``paper.code`` is the official code that it was verified against.
    """

    name: str
    summary: str
    version: str
    paper: PaperCard
    about: str
    settings_about: str
    settings: tuple[Setting, ...]
    defaults: Mapping[str, Any]
    recipe: Mapping[str, Any]
    changes: tuple[MethodChange, ...]
    heads: tuple[str, ...]
    needs: MethodNeeds
    cost: Cost | None = None

    @classmethod
    def of(cls, name: str, method: type[Method], summary: str) -> MethodCard:
        """Return the card of ``method``, registered as ``name`` with ``summary``."""
        settings = tuple(_settings(method.Config))
        return cls(
            name=name,
            summary=summary,
            version=method.version,
            paper=method.paper,
            about=method.__doc__ or "",
            settings_about=method.Config.__doc__ or "",
            settings=settings,
            defaults=method.Config().model_dump(mode="json"),
            recipe=method.recipe,
            changes=tuple(_changes(method)),
            heads=next((s.values for s in settings if s.name == HEAD), ()),
            needs=_needs(method),
        )

    @property
    def link(self) -> str:
        """Return the address of the paper."""
        return self.paper.link.replace("arXiv:", "https://arxiv.org/abs/")


def _settings(config: type[MethodConfig]) -> Iterator[Setting]:
    space = search_space(config)
    for name, field in config.model_fields.items():
        default = field.get_default(call_default_factory=True)  # settings may have factories
        yield Setting(name, default, _values(field), space.get(name))


def _values(field: FieldInfo) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_kinds(field.annotation)))  # each word once


_KINDS = {
    int: "whole number",
    float: "number",
    bool: "true, false",
    str: "text",
    types.NoneType: "none",
}


def _kinds(annotation: Any) -> Iterator[str]:
    if get_origin(annotation) is Literal:
        yield from map(as_set, get_args(annotation))
    elif get_origin(annotation) in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _kinds(part)
    elif get_args(annotation):  # Annotated
        yield from _kinds(get_args(annotation)[0])  # the first argument is the type
    else:
        yield _KINDS.get(annotation) or str(getattr(annotation, "__name__", annotation))


def _changes(method: type[Method]) -> Iterator[MethodChange]:
    declared = method.ablations
    for name, component in declared.components.items():
        yield MethodChange(name, "component", component.title, component.overrides)
    for name, variant in declared.variants.items():
        yield MethodChange(name, "variant", variant.title, variant.overrides)
    for name, control in declared.controls.items():
        yield MethodChange(name, "control", control.title, control.overrides)
    for twin in declared.twins:
        yield MethodChange(twin, "twin", "trained with the same budget", {})


def _needs(method: type[Method]) -> MethodNeeds:
    if method.order_dependent:
        return "order"
    return "coordinates" if method.needs_coords else ""


def as_set(value: object) -> str:
    """Return ``value`` as ``--set`` takes it: ``none``, ``true``, ``0.1``."""
    if isinstance(value, str):
        return value
    return json.dumps(value, default=str).replace("null", "none")  # --set writes none
