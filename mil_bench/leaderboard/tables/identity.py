"""What every table says of a row: who it is, where it stands, what it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import Board, BoardRow
from mil_bench.leaderboard.tables.column import Column
from mil_bench.leaderboard.tables.columns import columns
from mil_bench.leaderboard.tables.standing import Standing, standings
from mil_bench.leaderboard.tables.table import Cell, Number, Row

KEYS = ("method", "variant")
PLACE = columns("tier", "rank", "detectable", "coverage")
"""In every table behind the keys."""
STANDING = columns("tier", "rank", "first", "behind", "p", "detectable", "coverage")
_SEARCH = columns("searches", "trials", "failed_trials", "tuning_hours", "tuned_for")
_FROM = columns(
    "folds",
    "seeds",
    "test_slides",
    "test_patients",
    "status",
    "precision",
    "settings",
    "method_version",
    "mil_bench",
    "tree",
    "split",
    "split_digest",
    "leaky",
    "run_keys",
)


def origin_columns(board: Board) -> tuple[Column, ...]:
    """Where a row comes from; columns of searches only where there are some."""
    return (*(_SEARCH if any(row.tuning for row in board.rows) else ()), *_FROM)


def source_columns(board: Board) -> tuple[Column, ...]:
    """How many runs, and where they come from: for tables that do not say where rows stand."""
    return (*columns("coverage"), *origin_columns(board))


def sources(board: Board) -> dict[str, dict[str, Cell]]:
    """Row label -> cells of :func:`source_columns`."""
    return {row.label: {"coverage": row.coverage, **origin(board, row)} for row in board.rows}


def method_rows(analysis: Analysis, *found: Mapping[str, Mapping[str, Cell]]) -> tuple[Row, ...]:
    """A row per method, in order of the board; ``found`` are cells by column, then by label."""
    known = described(analysis)
    named = {name: cells for part in found for name, cells in part.items()}
    return tuple(
        Row(label, cells | {name: values[label] for name, values in named.items()})
        for label, cells in known.items()
    )


def described(analysis: Analysis) -> dict[str, dict[str, Cell]]:
    """Row label -> keys, standing and origin, in order of the board."""
    stands, board = standings(analysis), analysis.board
    return {
        row.label: _place(row, stands.get(row.label)) | origin(board, row) for row in board.rows
    }


def keys(row: BoardRow) -> dict[str, Cell]:
    """The cells that identify a row."""
    return {"method": row.method, "variant": variant_text(row)}


def _place(row: BoardRow, standing: Standing | None) -> dict[str, Cell]:
    return {**keys(row), **(standing.cells() if standing else {}), "coverage": row.coverage}


def origin(board: Board, row: BoardRow) -> dict[str, Cell]:
    """What a row rests on: searches, runs, slides, versions, split."""
    records = list(row.done.values())
    scores = [r.scores for r in records if r.scores is not None]
    specs = [r.spec for r in row.runs.values() if r.spec is not None]
    return {
        **_search(row),
        "folds": _listed({fold for _, fold in row.done}),
        "seeds": _listed({seed for seed, _ in row.done}),
        "test_slides": Number(len(frozenset[str]().union(*(s.slides for s in scores)))),
        "test_patients": Number(len(frozenset[str]().union(*(s.groups for s in scores)))),
        "status": row.status,
        "precision": "; ".join(sorted({spec.precision for spec in specs})),
        "settings": row.settings,
        "method_version": "; ".join(sorted({spec.method_version for spec in specs})),
        "mil_bench": "; ".join(sorted({r.version for r in records})),
        "tree": board.id.tree,
        "split": board.id.split,
        "split_digest": board.id.split_digest,
        "leaky": "yes" if board.leaky else "no",
        "run_keys": " ".join(r.key for r in records),
    }


def variant_text(row: BoardRow) -> str:
    """``tuned``, ``gated=false`` or both."""
    return "; ".join(filter(None, [row.role, row.variant]))


def _search(row: BoardRow) -> dict[str, Cell]:
    t = row.tuning
    if t is None:
        none: Cell = Number(0)
        return dict.fromkeys(("searches", "trials", "failed_trials", "tuning_hours"), none)
    return {
        "searches": Number(t.studies),
        "trials": Number(t.trials),
        "failed_trials": Number(t.failed),
        "tuning_hours": Number(t.hours),
        "tuned_for": f"validation {t.objective}",
    }


def _listed(numbers: Iterable[int]) -> str:
    return " ".join(map(str, sorted(numbers)))
