"""From a declaration to the variants of a study: what is on, what is off, and why it is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mil_bench.base.errors import UnknownNameError, UsageError
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.contract.method import Ablations, Component, Switch

FULL = "full"


class Group(StrEnum):
    """Why a variant is run; the value is its heading in tables."""

    FULL = "full method"
    LEFT_OUT = "one component left out"
    BARE = "no component"
    ADDED = "one component added to none"
    VARIANT = "variant"
    CONTROL = "control"
    TWIN = "flat twin, same training budget"


@dataclass(frozen=True)
class Variant:
    """One row of a study: ``method`` with ``overrides`` above its configuration.

    ``components`` says which components of the full method it has; ``None`` where that has no
    meaning (other forms of the method, twins). ``levels`` says that it needs a tree of two or more
    levels.
    """

    name: str
    group: Group
    title: str
    method: str
    overrides: Mapping[str, Any]
    components: Mapping[str, bool] | None = None
    levels: bool = False


def variants_of(method: str, declared: Ablations) -> list[Variant]:
    """All variants of a method, the full one first.

    Adding and leaving out can meet (with one component, leaving it out is the bare method): what
    is the same set of components is there once, under its first name. Raises ``UsageError`` for a
    method that declares nothing.
    """
    if not declared:
        raise UsageError(
            f"method {method!r} declares no ablations; declare components in its class "
            "(docs/add-a-method.md), or vary its options with --vary."
        )
    parts = declared.components
    everything = dict.fromkeys(parts, True)
    found = [Variant(FULL, Group.FULL, "full", method, {}, everything)]
    seen = {frozenset(parts)}
    for name, group, title, kept in _sets(parts):
        if kept not in seen:
            seen.add(kept)
            gone = [part for key, part in parts.items() if key not in kept]
            marks = {key: key in kept for key in parts}
            found.append(_variant(name, group, title, method, gone, marks))
    for name, switch in declared.variants.items():
        found.append(_variant(name, Group.VARIANT, switch.title, method, [switch]))
    for name, switch in declared.controls.items():
        found.append(_variant(name, Group.CONTROL, switch.title, method, [switch], everything))
    return found + [Variant(twin, Group.TWIN, twin, twin, {}) for twin in declared.twins]


def choose(variants: Sequence[Variant], only: Sequence[str], tree: Taxonomy) -> list[Variant]:
    """The full method and those that ``only`` names, or all; refused where the tree is too flat."""
    known = {variant.name for variant in variants}
    for name in only:
        if name not in known:
            raise UnknownNameError("variant in --variants", name, known)
    chosen = [v for v in variants if not only or v.name in (FULL, *only)]
    flat = [v.name for v in chosen if v.levels and tree.depth == 1]
    if flat:
        raise UsageError(
            f"{', '.join(flat)} of method {variants[0].method!r} need a tree of two or more "
            f"levels, and tree {tree.name!r} is flat; choose another --tree, or other variants "
            "with --variants."
        )
    return chosen


def _sets(
    parts: Mapping[str, Component],
) -> list[tuple[str, Group, str, frozenset[str]]]:
    """Name, reason, title and remaining components of everything that is taken out or put in."""
    everything = frozenset(parts)
    left_out = [
        (f"no_{name}", Group.LEFT_OUT, f"without {part.title}", everything - _inside(parts, name))
        for name, part in parts.items()
    ]
    bare = ("bare", Group.BARE, "bare", frozenset[str]())
    added = [
        (f"only_{name}", Group.ADDED, f"only {part.title}", frozenset({name}))
        for name, part in parts.items()
        if not part.within
    ]
    return [*left_out, bare, *added]


def _inside(parts: Mapping[str, Component], name: str) -> frozenset[str]:
    """A component with those that are parts of it."""
    return frozenset({name, *(key for key, part in parts.items() if part.within == name)})


def _variant(
    name: str,
    group: Group,
    title: str,
    method: str,
    switches: Sequence[Switch],
    components: Mapping[str, bool] | None = None,
) -> Variant:
    overrides = {key: value for switch in switches for key, value in switch.overrides.items()}
    levels = any(switch.levels for switch in switches)
    return Variant(name, group, title, method, overrides, components, levels)
