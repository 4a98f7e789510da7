"""Coarse-only twins: methods that were trained on the classes of an upper level alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mil_bench.errors import DataError
from mil_bench.evaluation.inference.pairing import check_pairable
from mil_bench.evaluation.predictions import Predictions
from mil_bench.leaderboard.board import Board, BoardRow
from mil_bench.taxonomy import LEAF


def with_twins(boards: Sequence[Board]) -> list[Board]:
    """The boards, each with the rows of others that were trained for one of its upper levels.

    Found by content: the same data in the same folds, labelled with the classes of that level.
    ``mil-bench run --tree coarse`` makes such runs.
    """
    return [
        replace(board, twins=tuple(twin for other in boards for twin in _twins(board, other)))
        for board in boards
    ]


def _twins(board: Board, other: Board) -> list[tuple[str, BoardRow]]:
    tree, flat = board.taxonomy, other.taxonomy
    if tree is None or flat is None or flat.depth > 1 or _data(board) != _data(other):
        return []
    levels = [v for v in tree.levels[:-1] if set(tree.classes[v]) == set(flat.leaves)]
    complete = [row for row in board.rows if row.complete]
    return [
        (level, row)
        for level in levels[-1:]
        for row in other.rows
        if complete and row.complete and _same_slides(complete[0], row, level)
    ]


def _data(board: Board) -> tuple[str, ...]:
    """What twins share: all that identifies a board but tree and labels."""
    i = board.id
    return (i.kind, i.dataset, i.encoder, i.split_digest, i.features_digest)


def _same_slides(row: BoardRow, twin: BoardRow, level: str) -> bool:
    """Whether both test the same slides, with the same classes at ``level``."""
    coarse = {cell: _coarse(p, level, twin) for cell, p in row.predictions.items()}
    try:
        check_pairable({row.label: coarse, f"{twin.label} twin": twin.predictions})
    except DataError:
        return False
    return True


def _coarse(p: Predictions, level: str, twin: BoardRow) -> Predictions:
    """``p`` with the labels that the twin's tree gives its slides."""
    flat = next(iter(twin.predictions.values())).taxonomy
    names = p.taxonomy.classes[level]
    labels = [flat.index(names[k]) for k in p.truth(level)]
    return Predictions(flat, p.slide_ids, p.groups, p.labels * 0 + labels, {LEAF: p.summed(level)})
