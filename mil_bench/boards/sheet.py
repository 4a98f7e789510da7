"""A table of text, for what is no board: one file's scores, ablations."""

from __future__ import annotations

from dataclasses import dataclass

from mil_bench.boards.formats.grid import number_text
from mil_bench.evaluation.metrics import Score


@dataclass(frozen=True)
class Sheet:
    """The first column names rows, the others hold numbers as text."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def shown(value: float, score: Score) -> str:
    """``41.7`` for a fraction, ``1.73`` for anything else, a dash where undefined."""
    return number_text(value, "fraction" if score.facts.percent else "nats")
