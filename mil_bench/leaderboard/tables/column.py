"""What a column of a board holds: direction, unit, level of the tree, and kind of interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mil_bench.evaluation.metrics_table import Unit, facts
from mil_bench.taxonomy import LEAF

ColumnUnit = (
    Unit
    | Literal["text", "score", "rank", "seconds", "hours", "MiB", "FLOPs", "probability", "row"]
)
Interval = Literal["", "patients", "patients or Wilson"]
"""How the interval is made: patients drawn anew; Wilson's where those draws see no spread."""


@dataclass(frozen=True)
class Column:
    """One column.

    ``better`` is +1 when higher is better, -1 when lower is, 0 when neither. ``level`` is empty
    where a level of the tree means nothing. The unit ``row`` is that of ``Row.metric``; cells of
    the unit ``score`` are names of scores, shown to people by their titles.
    """

    name: str
    title: str
    unit: ColumnUnit = "text"
    better: Literal[1, -1, 0] = 0
    level: str = ""
    interval: Interval = ""
    note: str = ""

    @property
    def percent(self) -> bool:
        """Whether screens show it times 100."""
        return self.unit == "fraction"


def score_column(name: str, level: str = LEAF, interval: Interval = "patients") -> Column:
    """The column of a score of ``metrics_table``."""
    f = facts(name)
    return Column(name, f.title, f.unit, f.better, level, interval, f.note)
