"""Boards of one protocol: the runs that it admits, its cells, its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mil_bench.base.errors import DataError, listed
from mil_bench.boards.board import Board
from mil_bench.boards.collect import RunRecord
from mil_bench.exchange.bundles.protocol import Protocol


def admitted(records: Sequence[RunRecord], protocol: Protocol) -> list[RunRecord]:
    """Return the runs of the protocol's data in its cells.

    Raises ``DataError`` where there are none; the message says in what the nearest run differs.
    """
    specs = [record.spec for record in records if record.spec is not None]
    chosen = [r for r in records if r.spec is not None and protocol.requires(r.spec)]
    if not chosen:
        # The nearest run explains best.
        apart = min((protocol.differences(spec) for spec in specs), key=len, default=[])
        why = f"; the nearest differ in {listed(apart, 4)}" if apart else ""
        raise DataError(f"no run is of protocol {protocol.name}{why}. Run its data and split.")
    return chosen


def of_protocol(board: Board, protocol: Protocol) -> Board:
    """Return the board with every required cell in every row, named by the protocol."""
    rows = [replace(row, asked=protocol.cells) for row in board.rows]
    rows.sort(key=lambda row: (row.rank_key, row.label))  # order depends on complete cells
    return replace(board, rows=tuple(rows), protocol=protocol.name)
