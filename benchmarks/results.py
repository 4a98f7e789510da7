"""Results by hardware: ``benchmarks/results/<hardware>/<benchmark>.json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.hardware import hardware, slug
from mil_bench.base.atomic import write_json
from mil_bench.runs.environment import git_state

RESULTS = Path(__file__).parent / "results"

ResultRow = dict[str, Any]


def results_path(benchmark: str, device: torch.device, folder: Path = RESULTS) -> Path:
    """Return the path of the rows of ``benchmark`` on this machine."""
    return folder / slug(device) / f"{benchmark}.json"


def read_rows(path: Path) -> list[ResultRow]:
    """Return the rows of a results file; none if there is no file."""
    if not path.exists():
        return []
    rows: list[ResultRow] = json.loads(path.read_text())["rows"]
    return rows


def keep(path: Path, rows: Iterable[ResultRow], key: Sequence[str], device: torch.device) -> None:
    """Write ``rows``; a row replaces the kept one with the same values of ``key``, others stay."""
    stamped = [{**row, **provenance()} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    merged = merge(read_rows(path), stamped, key)
    write_json(path, {"hardware": hardware(device), "rows": merged})


def merge(
    old: Iterable[ResultRow], new: Iterable[ResultRow], key: Sequence[str]
) -> list[ResultRow]:
    """Return ``old`` with ``new`` in its place where all ``key`` values are equal, else
    behind it.
    """
    rows = {tuple(row[name] for name in key): row for row in old}
    rows |= {tuple(row[name] for name in key): row for row in new}
    return list(rows.values())


def provenance() -> ResultRow:
    """Return version of torch, commit and day of a measurement."""
    git = git_state() or {"commit": None, "dirty": None}
    day = datetime.now(UTC).date().isoformat()
    return {"torch": torch.__version__, **git, "date": day}
