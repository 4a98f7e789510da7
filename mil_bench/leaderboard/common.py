"""A board cut down to what all of its rows have predicted: only when asked for, and told."""

from __future__ import annotations

from dataclasses import replace

from mil_bench.errors import DataError
from mil_bench.evaluation.inference.pairing import common
from mil_bench.evaluation.predictions import Predictions
from mil_bench.evaluation.scores import Scores
from mil_bench.leaderboard.board import Board, BoardRow, Cell


def common_board(board: Board) -> Board:
    """The same rows, scored on the cells and slides that all rows with a result have.

    A note says how much is left out; a board whose rows agree is returned as it is. Rows without
    any result stay as they are. Raises ``DataError`` where nothing is shared.
    """
    rows = {row.label: row for row in board.rows if row.done}
    if len(rows) < 2:
        return board
    shared, told = common({label: row.predictions for label, row in rows.items()})
    if not told:
        return board
    if not all(shared.values()):
        raise DataError(
            f"no slide of {board.title} is predicted by all of {', '.join(rows)} in the same seed "
            "and fold; compare fewer of them."
        )
    cut = [_cut(row, shared[row.label]) if row.done else row for row in board.rows]
    ordered = sorted(cut, key=lambda row: (row.rank_key, row.label))
    return replace(board, rows=tuple(ordered), notes=(told, *board.notes))


def _cut(row: BoardRow, shared: dict[Cell, Predictions]) -> BoardRow:
    runs = {
        cell: replace(row.done[cell], sets={**row.done[cell].sets, "test": p}, scores=Scores.of(p))
        for cell, p in shared.items()
    }
    return replace(row, runs=runs, asked=tuple(shared))
