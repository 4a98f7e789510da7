"""A page small enough to be sent around: what is left out first when boards are many or large."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

BYTES = 1_350_000
"""Of data; the page's own parts are 0.1 MB, and the whole stays below 1.5 MB."""

Board = dict[str, Any]


def fitted(boards: Sequence[Board], most: int = BYTES) -> list[Board]:
    """``boards`` as they are, or without what is read least until they need ``most`` bytes.

    Every board says in ``left_out`` what went. CSV files hold all of it.
    """
    found = [board | {"left_out": []} for board in boards]
    for told, lighter in _STEPS:
        if _size(found) <= most:
            break
        found = [lighter(b) | {"left_out": [*b["left_out"], told]} for b in found]
    return found


def _size(data: Any) -> int:
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())


def _columns_of(*names: str) -> Callable[[Board], Board]:
    """Without the columns of these tables that are not shown at first; of all without names."""

    def lighter(board: Board) -> Board:
        chosen = {n: t for n, t in board["tables"].items() if n in names or not names}
        return _with(board, {n: _keeping(t, {*t["keys"], *t["shown"]}) for n, t in chosen.items()})

    return lighter


def _keeping(table: dict[str, Any], names: set[str]) -> dict[str, Any]:
    kept = [i for i, column in enumerate(table["columns"]) if column["name"] in names]
    return table | {part: [table[part][i] for i in kept] for part in ("columns", "cells")}


def _without_slides(board: Board) -> Board:
    return board | {"slidewise": None}


def _without(name: str) -> Callable[[Board], Board]:
    def lighter(board: Board) -> Board:
        return board | {"tables": {n: t for n, t in board["tables"].items() if n != name}}

    return lighter


def _with(board: Board, tables: dict[str, Any]) -> Board:
    return board | {"tables": board["tables"] | tables}


_STEPS: tuple[tuple[str, Callable[[Board], Board]], ...] = (
    ("further columns of pairs", _columns_of("pairs", "controls")),
    ("further columns of classes and runs", _columns_of("classwise", "runs")),
    ("the slides on which pairs disagree", _without_slides),
    ("further columns of all tables", _columns_of()),
    ("pairs", _without("pairs")),
    ("runs", _without("runs")),
)
