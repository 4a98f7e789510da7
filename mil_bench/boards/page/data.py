"""The data of the page: tables column by column, slides and cards, and what is omitted first."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from mil_bench.base.errors import UsageError
from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import Board, BoardRow
from mil_bench.boards.formats.csv_files import cell as csv_cell
from mil_bench.boards.tables.table import Cell, Column, Number, Table
from mil_bench.contract.card import MethodCard
from mil_bench.contract.variants import flattened
from mil_bench.methods import METHODS


def encode(table: Table) -> dict[str, Any]:
    """Return a table as JSON values; ``cells`` has a list per column."""
    return {
        "name": table.name,
        "title": table.title,
        "note": table.note,
        "keys": table.keys,
        "shown": table.shown,
        "columns": [_column(column) for column in table.columns],
        "methods": _packed([row.method for row in table.rows]),
        "metrics": _packed(["" if row.score is None else str(row.score) for row in table.rows]),
        "cells": [_packed([_cell(row[c.name]) for row in table.rows]) for c in table.columns],
    }


def number(value: float) -> float | int | None:
    """Return a number as the CSV files round it, ``None`` for ``nan``."""
    if value != value:  # JSON has no nan
        return None
    rounded = float(csv_cell(float(value)))
    return int(rounded) if rounded.is_integer() else rounded


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "title": column.title,
        "unit": column.unit,
        "percent": column.percent,
        "better": column.better,
        "level": column.level,
        "interval": column.interval,
        "note": column.note,
    }


def _packed(values: list[Any]) -> Any:
    """Texts that repeat as ``{"of": texts, "at": positions}``, ``-1`` for ``None``; else as is."""
    if any(isinstance(value, list) for value in values):
        return values
    texts = list(dict.fromkeys(value for value in values if value is not None))
    if 2 * len(texts) > len(values):  # texts that hardly repeat need more bytes as positions
        return values
    place = {text: i for i, text in enumerate(texts)}
    return {"of": texts, "at": [place.get(value, -1) for value in values]}


def _cell(cell: Cell) -> Any:
    """``None``, a text, or ``[value, low, high, sd_folds, sd_seeds, mark, note]`` cut short."""
    if not isinstance(cell, Number):
        return cell
    parts = [number(v) for v in (cell.value, cell.low, cell.high, cell.sd_folds, cell.sd_seeds)]
    full = [*parts, cell.mark or None, cell.note or None]
    while full and full[-1] is None:  # the end of the list is mostly empty
        full.pop()
    return full


# What every method says of every test slide: where two methods disagree.

MOST = 90_000
"""Slides times methods of a page; more would make it larger than 1.5 MB."""


def slides_of(analysis: Analysis) -> dict[str, Any] | None:
    """Return test slides with true leaf, and per comparable row the decided leaf and p(true leaf).

    Probabilities are means over the seeds, and the folds, that test a slide; ``p`` is in percent.
    ``None`` for a board of more than :data:`MOST` predictions, or without comparable rows.
    """
    rows = [r for r in analysis.board.rows if r.label in analysis.paired and r.predictions]
    if not rows:
        return None
    truth = _truth(rows[0])
    if len(truth) * len(rows) > MOST:
        return None
    return {
        "ids": list(truth),
        "truth": list(truth.values()),
        "methods": [row.label for row in rows],
        "decided": [_decided(row, truth)[0] for row in rows],
        "p": [_decided(row, truth)[1] for row in rows],
    }


def _truth(row: BoardRow) -> dict[str, int]:
    pairs = (
        (str(slide), int(label))
        for p in row.predictions.values()
        for slide, label in zip(p.slide_ids, p.labels, strict=True)
    )
    return dict(sorted(pairs))


def _decided(row: BoardRow, truth: dict[str, int]) -> tuple[list[int], list[int]]:
    position = {slide: i for i, slide in enumerate(truth)}
    first = next(iter(row.predictions.values()))
    total = np.zeros((len(truth), len(first.taxonomy.leaves)))
    for p in row.predictions.values():
        # A sum over the folds and seeds that test a slide.
        np.add.at(total, [position[str(slide)] for slide in p.slide_ids], p.heads[LEAF])
    # Rows of zeros do not occur: all rows test the same slides.
    mean = total / total.sum(1, keepdims=True)
    chosen = mean[np.arange(len(truth)), list(truth.values())]
    return mean.argmax(1).tolist(), np.rint(100 * chosen).astype(int).tolist()


# The card of every method on the page.


def cards(boards: Sequence[Board]) -> dict[str, Any]:
    """Return the card of every method of ``boards`` that is installed here, by name."""
    names = dict.fromkeys(row.method for board in boards for row in board.rows)
    installed = {name: _installed(name) for name in names}
    return {name: _card(card) for name, card in installed.items() if card is not None}


def _installed(name: str) -> MethodCard | None:
    """Return the card, or ``None`` for a former plug-in or a package that is broken."""
    try:
        return MethodCard.of(name, METHODS.get(name), METHODS.summary(name))
    except UsageError:
        return None


def _card(card: MethodCard) -> dict[str, Any]:
    paper = card.paper
    searched = [s.name for s in card.settings if s.search is not None and not s.search.where]
    return {
        "summary": card.summary,
        "title": paper.title,
        "year": paper.year,
        "venue": paper.venue,
        "link": paper.link,
        "code": paper.code,
        "differs": paper.differs,
        "measured": "\n".join(paper.measured),
        "version": card.version,
        "settings": flattened(card.defaults),
        "searched": searched,
        "recipe": flattened(dict(card.recipe)),
    }


# Data inside a page: JSON that no name can break out of.

_ESCAPES = {
    "<": "\\u003c",
    ">": "\\u003e",
    "&": "\\u0026",
    "\u2028": "\\u2028",
    "\u2029": "\\u2029",
}


def island(data: Any) -> str:
    """Return ``data`` as JSON for a ``<script type="application/json">``.

    ``<``, ``>`` and ``&`` are written as escapes of JSON, so a name such as ``</script>`` stays
    text. Raises ``ValueError`` for ``nan``, which JSON does not have.
    """
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign, escape in _ESCAPES.items():
        text = text.replace(sign, escape)
    return text


BYTES = 1_350_000
"""Limit of the data; the other parts take 0.1 MB, and the page stays below 1.5 MB."""

BoardData = dict[str, Any]

_DRAWN = {"reliability": {"confidence", "accuracy", "slides"}}
"""Columns that only plots use."""


def fitted(
    boards: Sequence[BoardData], most: int = BYTES, read_first: Collection[str] = ()
) -> list[BoardData]:
    """Return ``boards``, without what is read least until they need at most ``most`` bytes.

    ``read_first`` names the scores by which pairs are compared first. Every board says in
    ``left_out`` what went. CSV files hold all of it.
    """
    lighter_boards = [board | {"left_out": []} for board in boards]
    for what, lighter in _steps(read_first):
        # All boards share the page, so a step is made in all of them.
        if _size(lighter_boards) <= most:
            break
        lighter_boards = [
            lighter(board) | {"left_out": [*board["left_out"], what]} for board in lighter_boards
        ]
    return lighter_boards


def _size(data: Any) -> int:
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


def _columns_of(*names: str) -> Callable[[BoardData], BoardData]:
    """Without the columns of these tables that are not shown at first; of all without names."""

    def lighter(board: BoardData) -> BoardData:
        # No names: all tables.
        chosen = {n: t for n, t in board["tables"].items() if n in names or not names}
        names_of = {n: {*t["keys"], *t["shown"], *_DRAWN.get(n, ())} for n, t in chosen.items()}
        return _with(board, {n: _keeping(t, names_of[n]) for n, t in chosen.items()})

    return lighter


def _keeping(table: dict[str, Any], names: set[str]) -> dict[str, Any]:
    places = [i for i, column in enumerate(table["columns"]) if column["name"] in names]
    return table | {part: [table[part][i] for i in places] for part in ("columns", "cells")}


def _fewer_pairs(read_first: Collection[str]) -> Callable[[BoardData], BoardData]:
    """Pairs by the scores ``read_first`` only."""

    def lighter(board: BoardData) -> BoardData:
        table = board["tables"].get("pairs")
        if table is None:
            return board
        rows = [i for i, name in enumerate(_unpacked(table["metrics"])) if name in read_first]
        if not rows:  # no pair by these scores: the table would be empty
            return board
        few = {part: _taken(table[part], rows) for part in ("methods", "metrics")}
        cells = [_taken(column, rows) for column in table["cells"]]
        return _with(board, {"pairs": table | few | {"cells": cells}})

    return lighter


def _unpacked(values: Any) -> list[Any]:
    """What :func:`~mil_bench.boards.page.data.encode` has packed."""
    return [values["of"][i] for i in values["at"]] if isinstance(values, dict) else values


def _taken(values: Any, rows: Sequence[int]) -> Any:
    if isinstance(values, dict):
        return values | {"at": [values["at"][i] for i in rows]}
    return [values[i] for i in rows]


def _without_slides(board: BoardData) -> BoardData:
    return board | {"slidewise": None}


def _without(name: str) -> Callable[[BoardData], BoardData]:
    def lighter(board: BoardData) -> BoardData:
        return board | {"tables": {n: t for n, t in board["tables"].items() if n != name}}

    return lighter


def _with(board: BoardData, tables: dict[str, Any]) -> BoardData:
    return board | {"tables": board["tables"] | tables}


def _steps(read_first: Collection[str]) -> tuple[tuple[str, Callable[[BoardData], BoardData]], ...]:
    # What is read least goes first.
    return (
        ("further columns of pairs", _columns_of("pairs", "controls", "reliability")),
        ("further columns of classes and runs", _columns_of("classwise", "runs")),
        ("pairs by scores that are read less", _fewer_pairs(read_first)),
        ("the slides on which pairs disagree", _without_slides),
        ("further columns of all tables", _columns_of()),
        ("pairs", _without("pairs")),
        ("runs", _without("runs")),
    )
