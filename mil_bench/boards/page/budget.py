"""A page small enough to send: what is omitted first when boards are many or large."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from typing import Any

BYTES = 1_350_000
"""Limit of the data; the other parts take 0.1 MB, and the page stays below 1.5 MB."""

Board = dict[str, Any]

_DRAWN = {"reliability": {"confidence", "accuracy", "slides"}}
"""Columns that only plots use."""


def fitted(
    boards: Sequence[Board], most: int = BYTES, read_first: Collection[str] = ()
) -> list[Board]:
    """Return ``boards``, without what is read least until they need at most ``most`` bytes.

    ``read_first`` names the scores by which pairs are compared first. Every board says in
    ``left_out`` what went. CSV files hold all of it.
    """
    lighter_boards = [board | {"left_out": []} for board in boards]
    for what, lighter in _steps(read_first):
        if _size(lighter_boards) <= most:
            break
        lighter_boards = [
            lighter(board) | {"left_out": [*board["left_out"], what]} for board in lighter_boards
        ]
    return lighter_boards


def _size(data: Any) -> int:
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


def _columns_of(*names: str) -> Callable[[Board], Board]:
    """Without the columns of these tables that are not shown at first; of all without names."""

    def lighter(board: Board) -> Board:
        chosen = {n: t for n, t in board["tables"].items() if n in names or not names}
        names_of = {n: {*t["keys"], *t["shown"], *_DRAWN.get(n, ())} for n, t in chosen.items()}
        return _with(board, {n: _keeping(t, names_of[n]) for n, t in chosen.items()})

    return lighter


def _keeping(table: dict[str, Any], names: set[str]) -> dict[str, Any]:
    places = [i for i, column in enumerate(table["columns"]) if column["name"] in names]
    return table | {part: [table[part][i] for i in places] for part in ("columns", "cells")}


def _fewer_pairs(read_first: Collection[str]) -> Callable[[Board], Board]:
    """Pairs by the scores ``read_first`` only."""

    def lighter(board: Board) -> Board:
        table = board["tables"].get("pairs")
        if table is None:
            return board
        rows = [i for i, name in enumerate(_unpacked(table["metrics"])) if name in read_first]
        if not rows:
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


def _without_slides(board: Board) -> Board:
    return board | {"slidewise": None}


def _without(name: str) -> Callable[[Board], Board]:
    def lighter(board: Board) -> Board:
        return board | {"tables": {n: t for n, t in board["tables"].items() if n != name}}

    return lighter


def _with(board: Board, tables: dict[str, Any]) -> Board:
    return board | {"tables": board["tables"] | tables}


def _steps(read_first: Collection[str]) -> tuple[tuple[str, Callable[[Board], Board]], ...]:
    return (
        ("further columns of pairs", _columns_of("pairs", "controls", "reliability")),
        ("further columns of classes and runs", _columns_of("classwise", "runs")),
        ("pairs by scores that are read less", _fewer_pairs(read_first)),
        ("the slides on which pairs disagree", _without_slides),
        ("further columns of all tables", _columns_of()),
        ("pairs", _without("pairs")),
        ("runs", _without("runs")),
    )
