"""The place of a run's method on its board, as sentences for a model card."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from mil_bench.base.errors import MilBenchError
from mil_bench.boards.build import board_id
from mil_bench.boards.frames import frame_of, read_boards, reports_of
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.metrics import PRIMARY

OVERALL = "overall"


def place_on_board(runs: Path, spec: RunSpec) -> str:
    """Return the row of a run's method on its board, ``""`` where it has no other row.

    ``runs`` is the folder that holds the run. A board that cannot be made leaves the card without
    these sentences.
    """
    try:
        boards, _ = read_boards(runs)
        for report in reports_of([board for board in boards if board.id == board_id(spec)]):
            table = report.table(OVERALL)
            frame = frame_of(table) if table is not None else pd.DataFrame()
            if len(frame) > 1:
                return _sentences(frame, spec, report.board.title)
    except MilBenchError:
        pass
    return ""


def _sentences(frame: pd.DataFrame, spec: RunSpec, board: str) -> str:
    mine = frame[[spec.key in str(keys).split() for keys in frame["run_keys"]]]
    if mine.empty:
        return ""
    row = mine.iloc[0]
    value, low, high = (100 * float(row[f"{PRIMARY}{end}"]) for end in ("", "_low", "_high"))
    ranked = frame["rank"].notna().sum()
    place = "is not ranked" if pd.isna(row["rank"]) else f"is ranked {int(row['rank'])} of {ranked}"
    interval = "" if low != low else f" (95 % CI {low:.1f} to {high:.1f})"  # nan: all draws alike
    return (
        f"On the board {board}, {row['method']} {place} by balanced accuracy: "
        f"{value:.1f}{interval}. That row averages all "
        f"folds and seeds of the method ({row['coverage']} runs); this model is one of them."
    )
