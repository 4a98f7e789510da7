"""What a column of a board holds: direction, unit, level of the tree, and kind of interval."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mil_bench.base.taxonomy import LEAF
from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.metrics import Unit, facts

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


# A table that knows what its numbers are. Files, pages, screens and LaTeX are made from it.

NAN = float("nan")
Mark = Literal["", "best", "tied"]
"""``tied``: not separable from the best of its column."""


@dataclass(frozen=True)
class Number:
    """A measured number with what is known of its precision; ``nan`` where there is nothing.

    ``low`` and ``high`` end the 95 % interval, ``sd_folds`` and ``sd_seeds`` are those of
    :class:`~mil_bench.boards.board.Spread`. ``note`` says what is wrong with it: over fewer
    cells than asked, undefined in some, an interval that may be too narrow.
    """

    value: float
    low: float = NAN
    high: float = NAN
    sd_folds: float = NAN
    sd_seeds: float = NAN
    mark: Mark = ""
    note: str = ""

    @classmethod
    def of(cls, drawn: Replicated) -> Number:
        """A value with its interval over patients; none where all its draws lie on one side."""
        if drawn.low > drawn.value or drawn.high < drawn.value:
            return cls(drawn.value, note="no interval, draws of patients are biased")
        return cls(drawn.value, drawn.low, drawn.high)


Cell = Number | str | None
"""``None`` does not exist for its row (a head that a method does not have)."""


@dataclass(frozen=True)
class Row:
    """Cells by column name. ``method`` is the label of the board's row that it tells of.

    ``metric`` is the score that columns of the unit ``row`` hold, where rows differ in it.
    """

    method: str
    cells: Mapping[str, Cell]
    metric: str = ""

    def __getitem__(self, column: str) -> Cell:
        return self.cells.get(column)

    def percent(self, column: Column) -> bool:
        """Whether screens show the cell of ``column`` times 100."""
        return facts(self.metric).percent if column.unit == "row" else column.percent


@dataclass(frozen=True)
class Table:
    """``name`` is that of its files; ``note`` says how to read it.

    ``keys`` name the columns that identify a row; they come first. ``shown`` are the columns that
    people see unless they ask for more, none for tables of files alone; files hold all. ``lead`` is
    the metric whose rows stand for all where rows differ in it and space is short. Tables that are
    not ``printed`` are too long for a printed page.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    keys: tuple[str, ...]
    shown: tuple[str, ...]
    note: str = ""
    lead: str = ""
    printed: bool = True

    @property
    def brief(self) -> tuple[Row, ...]:
        """The rows for a printed page."""
        return tuple(row for row in self.rows if not self.lead or row.metric in ("", self.lead))

    def column(self, name: str) -> Column:
        """A column by name; ``KeyError`` for one that is not there."""
        return next(c for c in self.columns if c.name == name)
