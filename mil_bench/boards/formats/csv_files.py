"""Tables as CSV: wide for people, tidy for programs, and the numbers of single runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, fields

import pandas as pd

from mil_bench.base.csv_safety import escape
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.boards.board import Board
from mil_bench.boards.tables.identity import variant_text
from mil_bench.boards.tables.table import Cell, Column, Number, Row, Table
from mil_bench.evaluation.metrics import CLASS_METRICS, COUNTS, Score
from mil_bench.evaluation.scores import Scores

PARTS = ("value", "low", "high", "sd_folds", "sd_seeds")
"""Fields of a number. The value has the column's own name, ``macro_auc_low`` is its lower end."""


def csv_wide(table: Table) -> str:
    """Return CSV text of :func:`wide_rows`."""
    return csv_text(*wide_rows(table))


def wide_rows(table: Table) -> tuple[list[str], Iterator[list[object]]]:
    """Return the names of the columns and the rows.

    Parts of numbers that no row has are left out; the last column, ``notes``, says what is wrong
    with the numbers of the row.
    """
    shown = [(c, part) for c in table.columns for part in _parts(table, c)]
    names = [c.name if part in ("", "value") else f"{c.name}_{part}" for c, part in shown]
    rows = (
        [*(_value(row, c, part) for c, part in shown), _notes(table, row)] for row in table.rows
    )
    return [*names, "notes"], rows


def _parts(table: Table, column: Column) -> Iterator[str]:
    numbers = [n for row in table.rows if isinstance(n := row[column.name], Number)]
    if not numbers:  # empty or words: one column
        yield ""
    for part in PARTS if numbers else ():
        # A part that no row has needs no column.
        if part == "value" or any(getattr(n, part) == getattr(n, part) for n in numbers):
            yield part


def _value(row: Row, column: Column, part: str) -> object:
    cell = row[column.name]
    return getattr(cell, part or "value") if isinstance(cell, Number) else cell


def _notes(table: Table, row: Row) -> str:
    numbers = ((c.name, row[c.name]) for c in table.columns)
    return "; ".join(f"{name}: {n.note}" for name, n in numbers if isinstance(n, Number) and n.note)


# Tidy: a line per number, with all of its parts.


def csv_tidy(table: Table) -> str:
    """Return CSV text: the keys of the row, ``metric``, then the fields of :class:`Number`.

    Numbers that do not exist for a row have no line; undefined ones have an empty ``value``.
    """
    names = [*table.keys, "metric", *(f.name for f in fields(Number))]
    rows = (
        [*(_key(row[key]) for key in table.keys), column.name, *astuple(number)]
        for row in table.rows
        for column in table.columns  # tidy lines hold numbers; words are in the wide file
        if column.name not in table.keys and isinstance(number := row[column.name], Number)
    )
    return csv_text(names, rows)


def _key(cell: Cell) -> str | float | None:
    return cell.value if isinstance(cell, Number) else cell


# Runs: a line per number of one run, before any averaging.

_COLUMNS = ("method", "variant", "seed", "fold", "status", "run_key", "reason")
_SCORE = ("level", "source", "class", "metric", "value")


def runs_tidy(board: Board) -> str:
    """Return CSV text: method, variant, seed, fold, status, run, then level, source, class, score.

    ``reason`` is why a run has no result; such a run has one line with an empty score. A method has
    no line for scores that it does not have.
    """
    return csv_text([*_COLUMNS, *_SCORE], _lines(board))


def _lines(board: Board) -> Iterator[list[object]]:
    for row in board.rows:
        for cell in row.asked:
            record = row.runs.get(cell)
            run = (record.key, record.reason) if record else ("", "")
            place = [row.method, variant_text(row), *cell, row.status_of(cell), *run]
            if record is None or record.scores is None or board.taxonomy is None:
                # A line without a score, so that nothing is hidden.
                yield [*place, "", "", "", "", None]
                continue
            for line in _scores(record.scores, board.taxonomy, counts=board.site is None):
                yield [*place, *line]


def _scores(scores: Scores, tree: Taxonomy, *, counts: bool) -> Iterator[list[object]]:
    """Lines of one run, with the ``counts`` of classes, which a site report has not by run."""
    for score, value in scores.values.items():
        if not score.name and score.on_boards and (score.is_leaf or score.level != LEAF):
            yield [score.level, "", "", str(score), value]
    for level in tree.levels:
        for source in ("summed", "direct"):
            for name in tree.classes[level]:
                # Classes of a level exist with and without a head.
                if Score(CLASS_METRICS[0], level, source, name) in scores.values:
                    if counts:
                        for metric, n in zip(COUNTS, scores.support[level, name], strict=True):
                            yield [level, source, name, metric, float(n)]
                    for metric in CLASS_METRICS:
                        score = Score(metric, level, source, name)
                        if score in scores.values:
                            yield [level, source, name, metric, scores.values[score]]


# CSV text that is safe for spreadsheets.

_DECIMALS = 6
_SMALL = 0.01


def csv_text(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a header and rows; undefined (``nan``, ``None``) is empty.

    Six decimals, of small numbers six digits; whole numbers from 2 up (counts) have none.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")  # "\n": the same bytes on every system
    writer.writerow([escape(name) for name in columns])
    writer.writerows([cell(value) for value in row] for row in rows)
    return file.getvalue()


def to_csv(table: pd.DataFrame) -> str:
    """Return the same for a pandas table."""
    return csv_text([str(c) for c in table.columns], table.itertuples(index=False, name=None))


def cell(value: object) -> str:
    """Return one cell."""
    if value is None:
        return ""
    if isinstance(value, str):
        return escape(value)
    if isinstance(value, float):
        if value != value:
            return ""  # undefined is an empty cell, as pandas reads it
        if value >= 2 and value.is_integer():  # below 2 a whole number may be a rate of 0 or 1
            return f"{value:.0f}"
        small = 0 < abs(value) < _SMALL
        return f"{value:.{_DECIMALS}g}" if small else f"{value:.{_DECIMALS}f}"
    return str(value)
