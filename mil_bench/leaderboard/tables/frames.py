"""Boards as pandas tables: wide (a row per method) and tidy (a row per measured number).

Numbers are fractions as computed; ``<metric>_sd_folds`` and ``<metric>_sd_seeds`` are standard
deviations (see :class:`~mil_bench.leaderboard.spread.Spread`). Undefined is an empty cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pandas as pd

from mil_bench.evaluation.metrics_table import in_order
from mil_bench.evaluation.scores import Scores
from mil_bench.leaderboard.board import Board, BoardRow, class_value
from mil_bench.leaderboard.spread import Spread

CLASS_METRICS = ("auc", "ap", "sensitivity", "specificity", "ppv", "npv", "f1")
COUNTS = ("support", "patients")
Columns = dict[str, Any]


def overall_table(board: Board) -> pd.DataFrame:
    """One row per method: leaf scores, then where they come from."""
    names = in_order(name for s in board.scores for name in s.overall)
    return pd.DataFrame(
        [
            _identity(row)
            | _spreads(row, {n: row.overall(n) for n in names})
            | _search(board, row)
            | _origin(board, row)
            for row in board.rows
        ]
    )


def hierarchical_table(board: Board) -> pd.DataFrame:
    """One row per method: scores of the upper levels and of the tree. Empty for a flat tree."""
    names = hierarchical_names(board)
    if not names:
        return pd.DataFrame()
    return pd.DataFrame(
        [
            _identity(row) | _spreads(row, {n: row.hierarchical(n) for n in names})
            for row in board.rows
        ]
    )


def classwise_table(board: Board) -> pd.DataFrame:
    """One row per method, level, source and class; a method without results keeps one row.

    ``support`` and ``patients`` are means over cells.
    """
    if not board.class_keys:
        return pd.DataFrame()
    rows = []
    for row in board.rows:
        keys = [key for key in board.class_keys if row.of_class(*key, "support").n]
        if not keys:
            rows.append(_identity(row) | {"level": "", "source": "", "class": ""})
        for key in keys:
            place = dict(zip(("level", "source", "class"), key, strict=True))
            counts = {name: row.of_class(*key, name).mean for name in COUNTS}
            spreads = {name: row.of_class(*key, name) for name in CLASS_METRICS}
            rows.append(_identity(row) | place | counts | _spreads(row, spreads))
    return pd.DataFrame(rows)


def overall_tidy(board: Board) -> pd.DataFrame:
    """One row per method, seed, fold and metric; cells without a result keep their rows."""
    names = in_order(name for s in board.scores for name in s.overall)
    gets = {name: _getter("overall", name) for name in names}
    return pd.DataFrame(list(_tidy(board, [({"metric": n}, get) for n, get in gets.items()])))


def hierarchical_tidy(board: Board) -> pd.DataFrame:
    """The same for hierarchical scores; heads that a method does not have are left out."""
    gets = {name: _getter("hierarchical", name) for name in hierarchical_names(board)}
    return pd.DataFrame(list(_tidy(board, [({"metric": n}, get) for n, get in gets.items()])))


def classwise_tidy(board: Board) -> pd.DataFrame:
    """The same for every class: a row per method, seed, fold, level, source, class and metric."""
    wanted = [
        (dict(zip(("level", "source", "class"), key, strict=True)) | {"metric": m}, _class(key, m))
        for key in board.class_keys
        for m in (*COUNTS, *CLASS_METRICS)
    ]
    return pd.DataFrame(list(_tidy(board, wanted)))


def hierarchical_names(board: Board) -> list[str]:
    """Names of the hierarchical scores of a board: levels first, then the tree."""
    names = list(dict.fromkeys(name for s in board.scores for name in s.hierarchical))
    levels = board.taxonomy.levels if board.taxonomy else ()
    return sorted(names, key=lambda n: next((i for i, v in enumerate(levels) if _is_of(n, v)), 99))


def _is_of(name: str, level: str) -> bool:
    return name.startswith(f"{level}_")


def _identity(row: BoardRow) -> Columns:
    return {
        "method": row.method,
        "variant": variant_text(row),
        "status": row.status,
        "coverage": row.coverage,
    }


def _spreads(row: BoardRow, spreads: Mapping[str, Spread]) -> Columns:
    columns: Columns = {}
    for name, spread in spreads.items():
        columns[name] = spread.mean
        columns[f"{name}_sd_folds"] = spread.sd_folds
        columns[f"{name}_sd_seeds"] = spread.sd_seeds
    cells = len(row.done)
    short = [
        f"{name} in {cells - s.n} of {cells}" for name, s in spreads.items() if 0 < s.n < cells
    ]
    return columns | {"undefined": "; ".join(short)}


def variant_text(row: BoardRow) -> str:
    """``tuned``, ``gated=false`` or both."""
    return "; ".join(filter(None, [row.role, row.variant]))


def _search(board: Board, row: BoardRow) -> Columns:
    """What the search of a row has cost; no columns on a board without searches."""
    if not any(other.tuning for other in board.rows):
        return {}
    t = row.tuning
    return {
        "searches": t.studies if t else 0,
        "trials": t.trials if t else 0,
        "failed_trials": t.failed if t else 0,
        "tuning_hours": t.hours if t else 0.0,
        "tuned_for": f"validation {t.objective}" if t else "",
    }


def _origin(board: Board, row: BoardRow) -> Columns:
    records = list(row.done.values())
    scores = [r.scores for r in records if r.scores is not None]
    specs = [r.spec for r in row.runs.values() if r.spec is not None]
    devices = {r.result.device for r in records if r.result is not None}
    return {
        "folds": _listed({fold for _, fold in row.done}),
        "seeds": _listed({seed for seed, _ in row.done}),
        "test_slides": len(frozenset().union(*(s.slides for s in scores))),
        "test_patients": len(frozenset().union(*(s.groups for s in scores))),
        "parameters": row.mean_result("parameters"),
        "train_seconds": row.mean_result("train_seconds"),
        "test_seconds": row.mean_result("test_seconds"),
        "peak_memory_mb": row.mean_result("peak_memory_mb"),
        "epochs": row.mean_result("epochs"),
        "device": "; ".join(sorted(devices)),
        "precision": specs[0].precision if specs else "",
        "settings": row.settings,
        "method_version": specs[0].method_version if specs else "",
        "mil_bench": "; ".join(sorted({r.version for r in records})),
        "tree": board.id.tree,
        "split": board.id.split,
        "split_digest": board.id.split_digest,
        "leaky": "yes" if board.leaky else "no",
        "notes": "; ".join(board.notes),
        "run_keys": " ".join(r.key for r in records),
    }


def _tidy(
    board: Board, wanted: list[tuple[Columns, Callable[[Scores], float | None]]]
) -> Iterator[Columns]:
    for row in board.rows:
        for cell in row.asked:
            record = row.runs.get(cell)
            place = {
                "method": row.method,
                "variant": variant_text(row),
                "seed": cell[0],
                "fold": cell[1],
                "status": row.status_of(cell),
                "run_key": record.key if record else "",
            }
            for columns, get in wanted:
                scores = record.scores if record else None
                value = get(scores) if scores else float("nan")
                if value is not None:
                    yield place | columns | {"value": value}


def _getter(part: str, name: str) -> Callable[[Scores], float | None]:
    def get(scores: Scores) -> float | None:
        found: Mapping[str, float] = getattr(scores, part)
        return found.get(name)

    return get


def _class(key: tuple[str, str, str], metric: str) -> Callable[[Scores], float | None]:
    return lambda scores: class_value(scores, key, metric)


def _listed(numbers: set[int]) -> str:
    return " ".join(map(str, sorted(numbers)))
