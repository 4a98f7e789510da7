"""What a method says about its own parts, so that they can be taken out and put in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Switch:
    """One change of a method: ``overrides`` of its configuration.

    ``title`` names what is switched in tables. ``levels`` says that it needs a label tree of two
    or more levels.
    """

    title: str
    overrides: Mapping[str, Any]
    levels: bool = False


@dataclass(frozen=True)
class Component(Switch):
    """A part of the method; the overrides take it out and do nothing else.

    ``within`` names the component that it is a part of: without that one it means nothing.
    """

    within: str = ""


@dataclass(frozen=True)
class Ablations:
    """All that ``mil-bench ablate`` may change.

    ``components`` are left out one at a time, and added one at a time to the bare method, which has
    none of them. ``variants`` are other forms of the method. ``controls`` break what the method
    claims to use: a gain that survives one is not due to it. ``twins`` are simpler methods that
    are trained with the same budget.
    """

    components: Mapping[str, Component] = field(default_factory=dict)
    variants: Mapping[str, Switch] = field(default_factory=dict)
    controls: Mapping[str, Switch] = field(default_factory=dict)
    twins: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.components or self.variants or self.controls or self.twins)

    @property
    def switches(self) -> dict[str, Switch]:
        """Every single change by name: ``no_<component>``, variants, controls."""
        left_out = {f"no_{name}": part for name, part in self.components.items()}
        return {**left_out, **self.variants, **self.controls}
