"""Every run of a board as a table: its status, machine, and the command that repeats it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mil_bench.base.privacy import is_private
from mil_bench.boards.board import RANKED, Board, BoardRow
from mil_bench.boards.collect import RunRecord
from mil_bench.boards.environment import commit_of
from mil_bench.boards.rerun import Commands
from mil_bench.boards.tables.identity import variant_text
from mil_bench.boards.tables.table import Cell, Column, Number, Row, Table, score_column
from mil_bench.contract.spec import RunSpec
from mil_bench.evaluation.metrics import PRIMARY
from mil_bench.evaluation.predictions import SeedFold

HEATMAPS = Path("heatmaps", "index.html")
_COLUMNS = (
    Column("method", "Method"),
    Column("variant", "Variant"),
    Column("seed", "Seed", "count"),
    Column("fold", "Fold", "count"),
    Column("status", "Status"),
    score_column(RANKED, interval=""),
    Column("run_key", "Run", note="key: hash of everything that defines the run"),
    Column("epochs", "Epochs", "count"),
    Column("train_seconds", "Training", "seconds"),
    Column("test_seconds", "Test", "seconds"),
    Column("peak_memory_mb", "Memory", "MiB", note="peak; on a CPU, of the whole process"),
    Column("device", "Device"),
    Column("precision", "Precision"),
    Column("commit", "Commit", note="of mil-bench; + marks uncommitted changes"),
    Column("mil_bench", "mil-bench"),
    Column("finished", "Finished"),
    Column("reason", "Reason", note="why the run has no result"),
    Column("heatmaps", "Heatmaps", note="attention on slides of this run"),
    Column("command", "Command", note="repeats the run with the same key"),
)
_SHOWN = ("status", PRIMARY, "run_key", "train_seconds", "device", "commit", "finished", "command")


def runs_table(board: Board, page: Path) -> Table:
    """Return a row per method, seed and fold, including missing runs.

    ``page`` is the folder that links to heatmaps are relative to.
    """
    commands = Commands()
    rows = tuple(
        Row(row.label, cells)
        for row in board.rows
        for cells in _of_row(row, page.resolve(), commands)
    )
    linked = ("heatmaps",) if any(row["heatmaps"] for row in rows) else ()
    unfinished = ("reason",) if any(row["reason"] for row in rows) else ()
    keys = ("method", "variant", "seed", "fold")
    shown = (*keys, *_SHOWN[:1], *unfinished, *_SHOWN[1:-1], *linked, *_SHOWN[-1:])
    return Table("runs", "Runs", _COLUMNS, rows, keys, shown)


def _of_row(row: BoardRow, page: Path, commands: Commands) -> Iterator[dict[str, Cell]]:
    for cell in row.asked:
        place: dict[str, Cell] = {
            "method": row.method,
            "variant": variant_text(row),
            "seed": _count(cell, 0),
            "fold": _count(cell, 1),
            "status": row.status_of(cell),
        }
        record = row.runs.get(cell)
        yield place | (_of_record(record, page, commands) if record else {})


def _of_record(record: RunRecord, page: Path, commands: Commands) -> dict[str, Cell]:
    environment, result, scores = _json(record, "env.json"), record.result, record.scores
    heatmaps = record.path / HEATMAPS
    cells: dict[str, Cell] = {
        "run_key": record.key,
        "reason": record.reason,
        "mil_bench": record.version,
        "commit": commit_of(environment),
        "finished": str(_json(record, "result.json").get("finished", "")),
        "heatmaps": _link(heatmaps, page) if heatmaps.exists() else "",
    }
    if isinstance(record.spec, RunSpec):
        cells |= {"precision": record.spec.precision, "command": commands.of(record)}
    if result is not None:
        cells |= {
            name: Number(getattr(result, name))
            for name in ("epochs", "train_seconds", "test_seconds", "peak_memory_mb")
        }
        cells["device"] = result.device
    if scores is not None:
        cells[PRIMARY] = Number(scores.values.get(RANKED, float("nan")))
    return cells


def _count(cell: SeedFold, i: int) -> Number:
    return Number(float(cell[i]))


def _link(target: Path, page: Path) -> str:
    """A relative link, none where it would name folders of the user."""
    target = target.resolve()
    return "" if is_private(target, page) else Path(os.path.relpath(target, page)).as_posix()


def _json(record: RunRecord, name: str) -> dict[str, Any]:
    try:
        content = json.loads((record.path / name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}
