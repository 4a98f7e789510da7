"""Which cells of a study are run: the rules of ``[[include]]`` and ``[[exclude]]``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import field_validator

from mil_bench.config import StrictConfig

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
