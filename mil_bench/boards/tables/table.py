"""A table that knows what its numbers are. Files, pages, screens and LaTeX are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from mil_bench.evaluation.inference.draws import Replicated
from mil_bench.evaluation.metrics import Score, Unit

ColumnUnit = (
    Unit
    | Literal[
        "text", "score", "rank", "seconds", "hours", "MiB", "FLOPs", "probability", "row", "check"
    ]
)
Interval = Literal["", "patients", "patients or Wilson"]
"""How the interval is made: bootstrap over patients; Wilson's where its draws have no spread."""
NAN = float("nan")
Mark = Literal["", "best", "tied"]
"""``tied``: not significantly different from the best of its column."""


@dataclass(frozen=True)
class Table:
    """Rows and columns of one table of a board.

    ``name`` is that of its files; ``note`` says how to read it. ``keys`` name the columns that
    identify a row; they come first. ``shown`` are the columns that people see unless they request
    more, none for tables of files alone; files hold all. ``leads`` are the scores whose rows stand
    for all where rows differ in it and space is short. A rule separates rows that differ in the
    column ``sections``. Tables that are not ``printed`` are too long for a printed page.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    keys: tuple[str, ...]
    shown: tuple[str, ...]
    note: str = ""
    leads: tuple[Score, ...] = ()
    sections: str = ""
    printed: bool = True

    @property
    def brief(self) -> tuple[Row, ...]:
        """The rows for a printed page."""
        leads = (None, *self.leads)  # rows without a score (None) are always printed
        return tuple(row for row in self.rows if not self.leads or row.score in leads)

    def column(self, name: str) -> Column:
        """Return a column by name; ``KeyError`` for one that is not there."""
        return next(c for c in self.columns if c.name == name)


@dataclass(frozen=True)
class Column:
    """One column: direction, unit, level of the tree, and kind of interval.

    ``better`` is +1 when higher is better, -1 when lower is, 0 when neither. ``level`` is empty
    where a level of the tree means nothing. The unit ``row`` is that of ``Row.score``; a column of
    the unit ``score`` names that score, by its title where people read it. Cells of the unit
    ``check`` are yes, no or empty, and check marks for people. ``wide`` columns are not on
    terminals.
    """

    name: str
    title: str
    unit: ColumnUnit = "text"
    better: Literal[1, -1, 0] = 0
    level: str = ""
    interval: Interval = ""
    note: str = ""
    wide: bool = False

    @property
    def percent(self) -> bool:
        """Whether screens show it times 100."""
        return self.unit == "fraction"


def score_column(score: Score, interval: Interval = "patients", level: str | None = None) -> Column:
    """Return the column of a score; ``level`` where it is not that of the score."""
    facts = score.facts
    at = score.level if level is None else level
    return Column(str(score), facts.title, facts.unit, facts.better, at, interval, facts.note)


@dataclass(frozen=True)
class Number:
    """A measured number with what is known of its precision; ``nan`` where there is nothing.

    ``low`` and ``high`` end the 95 % interval, ``sd_folds`` and ``sd_seeds`` are those of
    :class:`~mil_bench.boards.board.Spread`. ``note`` says what is wrong with it: over fewer runs
    than requested, undefined in some, an interval that may be too narrow.
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
        """Return a value with its interval over patients, if its draws are on both sides of it."""
        # A skewed bootstrap can miss its own estimate.
        if not drawn.has_interval and drawn.low == drawn.low:
            return cls(drawn.value, note="no interval, draws of patients are biased")
        return cls(drawn.value, drawn.low, drawn.high)


Cell = Number | str | None
"""``None`` does not exist for its row (a head that a method does not have)."""


@dataclass(frozen=True)
class Row:
    """Cells by column name. ``method`` is the label of the board's row that it describes.

    ``score`` is what columns of the unit ``row`` hold, where rows differ in it.
    """

    method: str
    cells: Mapping[str, Cell]
    score: Score | None = None

    def __getitem__(self, column: str) -> Cell:
        return self.cells.get(column)  # None: the row lacks the column

    def unit(self, column: Column) -> str:
        """Return the unit of a cell; in some columns it is that of the row's score."""
        return self.score.facts.unit if column.unit == "row" and self.score else column.unit

    def percent(self, column: Column) -> bool:
        """Return whether screens show the cell of ``column`` times 100."""
        return self.unit(column) == "fraction"
