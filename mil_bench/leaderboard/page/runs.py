"""Every run of a board as a table: what became of it, where it was made, how to make it again."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mil_bench.evaluation.metrics_table import PRIMARY
from mil_bench.leaderboard.board import Board, BoardRow
from mil_bench.leaderboard.board import Cell as Place
from mil_bench.leaderboard.collect import RunRecord
from mil_bench.leaderboard.page.reproduce import command
from mil_bench.leaderboard.tables.column import Column, score_column
from mil_bench.leaderboard.tables.table import Cell, Number, Row, Table

HEATMAPS = Path("heatmaps", "index.html")
_COLUMNS = (
    Column("method", "Method"),
    Column("variant", "Variant"),
    Column("seed", "Seed", "count"),
    Column("fold", "Fold", "count"),
    Column("status", "Status"),
    score_column(PRIMARY, interval=""),
    Column("run_key", "Run", note="hash of everything that defines the run"),
    Column("epochs", "Epochs", "count"),
    Column("train_seconds", "Training", "seconds"),
    Column("test_seconds", "Test", "seconds"),
    Column("peak_memory_mb", "Memory", "MiB", note="peak; on a CPU of the whole process"),
    Column("device", "Device"),
    Column("precision", "Precision"),
    Column("commit", "Commit", note="of mil-bench; a + says that files were changed"),
    Column("mil_bench", "mil-bench"),
    Column("finished", "Finished"),
    Column("reason", "Why not", note="what is wrong with a run that is not done"),
    Column("heatmaps", "Heatmaps", note="attention on the slides of this run"),
    Column("command", "Command", note="makes the run again, with the same key"),
)
_SHOWN = ("status", PRIMARY, "run_key", "train_seconds", "device", "commit", "finished", "command")


def runs_table(board: Board, page: Path) -> Table:
    """One row per method, seed and fold, also for cells that nobody has run.

    ``page`` is the folder that links to heatmaps are relative to.
    """
    rows = tuple(
        Row(row.label, cells) for row in board.rows for cells in _of_row(row, page.resolve())
    )
    linked = ("heatmaps",) if any(row["heatmaps"] for row in rows) else ()
    unfinished = ("reason",) if any(row["reason"] for row in rows) else ()
    keys = ("method", "variant", "seed", "fold")
    shown = (*keys, *_SHOWN[:1], *unfinished, *_SHOWN[1:-1], *linked, *_SHOWN[-1:])
    return Table("runs", "Runs", _COLUMNS, rows, keys, shown)


def _of_row(row: BoardRow, page: Path) -> Iterator[dict[str, Cell]]:
    for cell in row.asked:
        place: dict[str, Cell] = {
            "method": row.method,
            "variant": "; ".join(filter(None, [row.role, row.variant])),
            "seed": _count(cell, 0),
            "fold": _count(cell, 1),
            "status": row.status_of(cell),
        }
        record = row.runs.get(cell)
        yield place | (_of_record(record, page) if record else {})


def _of_record(record: RunRecord, page: Path) -> dict[str, Cell]:
    environment, result, scores = _json(record, "env.json"), record.result, record.scores
    git = environment.get("git") or {}
    changed = "+" if git.get("dirty") else ""
    heatmaps = record.path / HEATMAPS
    found: dict[str, Cell] = {
        "run_key": record.key,
        "reason": record.reason,
        "mil_bench": record.version,
        "commit": f"{str(git.get('commit') or '')[:10]}{changed}",
        "finished": str(_json(record, "result.json").get("finished", "")),
        "heatmaps": _link(heatmaps, page) if heatmaps.exists() else "",
    }
    if record.spec is not None:
        found |= {"precision": record.spec.precision, "command": command(record.spec)}
    if result is not None:
        found |= {
            name: Number(getattr(result, name))
            for name in ("epochs", "train_seconds", "test_seconds", "peak_memory_mb")
        }
        found["device"] = result.device
    if scores is not None:
        found[PRIMARY] = Number(scores.overall.get(PRIMARY, float("nan")))
    return found


def _count(cell: Place, i: int) -> Number:
    return Number(float(cell[i]))


def _link(target: Path, page: Path) -> str:
    return Path(os.path.relpath(target.resolve(), page)).as_posix()


def _json(record: RunRecord, name: str) -> dict[str, Any]:
    try:
        content = json.loads((record.path / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
