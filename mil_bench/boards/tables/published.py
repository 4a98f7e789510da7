"""Numbers that others report for the dataset: beside ours, never ranked with them."""

from __future__ import annotations

import csv
from importlib.resources import files

from mil_bench.boards.analysis import Analysis
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.table import Number, Row, Table

_KEYS = ("method", "encoder", "split", "metric")
_COLUMNS = columns(*_KEYS, "value", "source", "split_caveat", "checked", table="published")
_NOTE = (
    "Numbers of papers: from other code and splits, without stored predictions. They are not "
    "ranked with ours"
)


def published_table(analysis: Analysis) -> Table | None:
    """Return what ``leaderboards/published`` holds for a real dataset; ``None`` where it holds
    nothing.
    """
    board = analysis.board
    there = {file.name: file for file in files("mil_bench.published").iterdir()}
    file = there.get(f"{board.id.dataset}.csv")
    if board.id.kind != "real" or board.id.trained_on or file is None:
        return None
    lines = csv.DictReader(file.read_text(encoding="utf-8").splitlines())
    rows = tuple(
        Row(line["method"], {**line, "value": Number(float(line["value"]))}) for line in lines
    )
    shown = ("value", "split_caveat", "source")
    return Table("published", "Reported elsewhere", _COLUMNS, rows, _KEYS, shown, _NOTE)
