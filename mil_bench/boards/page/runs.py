"""Every run of a board as a table: its status, machine, and the command that repeats it."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from mil_bench.base.privacy import is_private
from mil_bench.boards.board import RANKED, Board, BoardRow
from mil_bench.boards.collect import RunRecord
from mil_bench.boards.tables.table import Cell, Column, Number, Row, Table, score_column
from mil_bench.contract.spec import RunSpec, TrainerConfig, as_words
from mil_bench.contract.variants import flattened
from mil_bench.datasets import DATASETS
from mil_bench.evaluation.metrics import PRIMARY
from mil_bench.evaluation.predictions import SeedFold
from mil_bench.methods import METHODS
from mil_bench.runs.plan import resolve

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
    cells: dict[str, Cell] = {
        "run_key": record.key,
        "reason": record.reason,
        "mil_bench": record.version,
        "commit": f"{str(git.get('commit') or '')[:10]}{changed}",
        "finished": str(_json(record, "result.json").get("finished", "")),
        "heatmaps": _link(heatmaps, page) if heatmaps.exists() else "",
    }
    if isinstance(record.spec, RunSpec):
        cells |= {"precision": record.spec.precision, "command": command(record.spec)}
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
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


# The command that makes a run again.


def command(spec: RunSpec) -> str:
    """Return the ``mil-bench run`` command whose run has the key of ``spec``.

    Only settings that differ from the defaults of method and dataset are named; all are where one
    of the two is not in the package. Own data are taken to be described by ``<name>.toml``.
    """
    dataset = spec.dataset if spec.dataset in DATASETS else f"{spec.dataset}.toml"
    words = ["mil-bench", "run", "--method", spec.method, "--dataset", dataset]
    words += ["--encoder", spec.encoder] if spec.encoder else []
    words += [*_tree(spec), "--split", spec.split]
    words += ["--fold", str(spec.fold), "--seed", str(spec.seed), "--precision", spec.precision]
    words += ["--online", as_words(spec.online)] if spec.online is not None else []
    for name, value in _settings(spec).items():
        words += ["--set", f"{name}={value}"]
    return shlex.join(words)


def _settings(spec: RunSpec) -> dict[str, str]:
    trainer = spec.trainer.model_dump(mode="json")
    own = flattened(spec.method_config)
    usual_method, usual_trainer = _usual(spec.method, spec.dataset)
    changed = {
        (f"method.{name}" if name in TrainerConfig.model_fields else name): value
        for name, value in own.items()
        if usual_method.get(name) != value
    }
    for name, value in flattened(trainer).items():
        if usual_trainer.get(name) != value:
            changed[f"trainer.{name}" if name in own else name] = value
    return changed


@lru_cache
def _usual(method: str, dataset: str) -> tuple[dict[str, str], dict[str, str]]:
    """The flattened settings of method and trainer without ``--set``."""
    if method not in METHODS or dataset not in DATASETS:
        return {}, {}
    cls, card = METHODS.get(method), DATASETS.get(dataset).card
    resolved = resolve({method: cls}, card, {})[method]
    return (
        flattened(resolved.method.model_dump(mode="json")),
        flattened(resolved.trainer.model_dump(mode="json")),
    )


def _tree(spec: RunSpec) -> list[str]:
    """``--tree``, if the run has another tree than the dataset's default."""
    if spec.dataset not in DATASETS:
        return []
    card = DATASETS.get(spec.dataset).card
    if card.trees[card.default_tree].to_dict() == spec.tree:
        return []
    named = [name for name, tree in card.trees.items() if tree.to_dict() == spec.tree]
    return ["--tree", named[0] if named else str(spec.tree["name"])]
