"""What people see of a board: chosen columns, numbers times 100 with one decimal, marks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mil_bench.evaluation.metrics_table import PRIMARY, facts
from mil_bench.leaderboard.board import Board, BoardRow
from mil_bench.leaderboard.spread import Spread

OVERALL = ("balanced_accuracy", "macro_auc", "qwk", "macro_f1", "accuracy", "worst_sensitivity")
PROBABILITIES = ("brier", "log_loss", "ece", "rps", "mae")
LEVELS = (
    "{}_summed_balanced_accuracy",
    "{}_direct_balanced_accuracy",
    "{}_gain_balanced_accuracy",
    "{}_summed_macro_auc",
    "{}_direct_macro_auc",
)
MISTAKES = (
    "fine_error",
    "severity",
    "mean_lca_distance",
    "full_path_accuracy",
    "inconsistency",
    "hf",
)
WITH_SPREAD = (PRIMARY, "macro_auc")
INCOMPLETE = "*"
NONE = "–"


@dataclass(frozen=True)
class Sheet:
    """A table of text: the first column names methods, the last is coverage."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def sheets(board: Board) -> list[Sheet]:
    """The tables of a board: overall, probabilities, levels and mistakes of a tree, classes."""
    levels = board.taxonomy.levels[:-1] if board.taxonomy else ()
    upper = [name.format(level) for level in levels for name in LEVELS]
    found = [
        _sheet(board, "overall", OVERALL, BoardRow.overall),
        _sheet(board, "probabilities", PROBABILITIES, BoardRow.overall),
        _sheet(board, "levels", upper, BoardRow.hierarchical),
        _sheet(board, "mistakes", MISTAKES, BoardRow.hierarchical),
    ]
    shown = [sheet for sheet in found if len(sheet.columns) > 2]
    return shown + class_sheets(board) + search_sheets(board)


def search_sheets(board: Board) -> list[Sheet]:
    """What the searches behind tuned rows have cost; nothing where there are none."""
    columns = ("method", "trials", "failed trials", "tuning hours", "objective", "cells")
    rows = tuple(
        (
            row.label,
            _budget(t.budgets),
            str(t.failed),
            f"{t.hours:.3g}",
            facts(t.objective).title,
            f"{len(row.done)}/{len(row.asked)}",
        )
        for row in board.rows
        if (t := row.tuning)
    )
    return [Sheet("searches", columns, rows)] if rows else []


def _budget(budgets: Sequence[int]) -> str:
    """``50``, or ``5 x 50`` for a search in every fold."""
    if len(budgets) == 1:
        return str(budgets[0])
    if len(set(budgets)) == 1:
        return f"{len(budgets)} x {budgets[0]}"
    return " + ".join(map(str, budgets))


def class_sheets(board: Board) -> list[Sheet]:
    """AUC and sensitivity of every leaf class, a table each."""
    leaves = [key for key in board.class_keys if key[0] == "leaf"]
    found = []
    for metric in ("auc", "sensitivity") if leaves else ():
        columns = tuple(name for _, _, name in leaves)
        rows = tuple(
            _line(row, [shown(row.of_class(*key, metric).mean, metric) for key in leaves])
            for row in board.rows
        )
        title = f"classes: {facts(metric).title}"
        found.append(Sheet(title, ("method", *columns, "cells"), rows))
    return found


def shown(value: float, metric: str) -> str:
    """``41.7`` for a fraction, ``1.73`` for anything else, a dash where undefined."""
    if value != value:
        return NONE
    return f"{100 * value:.1f}" if facts(metric).percent else f"{value:.2f}"


def with_spread(spread: Spread, metric: str) -> str:
    """``41.7 ±3.2 ±0.9``: mean, sd over folds, sd over seeds (left out where there is one)."""
    sds = [sd for sd in (spread.sd_folds, spread.sd_seeds) if sd == sd]
    return " ".join([shown(spread.mean, metric), *(f"±{shown(sd, metric)}" for sd in sds)])


def caption(board: Board) -> str:
    """How to read the numbers."""
    told = [
        "fractions times 100",
        f"±: sd over folds, then seeds (behind {facts(PRIMARY).title} and AUC)",
        f"ordered by {facts(PRIMARY).title}, which claims no significance",
    ]
    if any(row.done and not row.complete for row in board.rows):
        told.append(f"{INCOMPLETE} mean over fewer cells than asked")
    if board.taxonomy is not None:
        chance = 100 / len(board.taxonomy.leaves)
        told.append(f"chance: {facts(PRIMARY).title} {chance:.1f}, AUC 50.0")
    return "; ".join(told) + "."


def problems(board: Board) -> list[str]:
    """A sentence for every row that lacks cells."""
    return [f"{row.label}: {row.status}" for row in board.rows if not row.complete]


def _sheet(
    board: Board, title: str, wanted: Sequence[str], get: Callable[[BoardRow, str], Spread]
) -> Sheet:
    """A column for every wanted score that any row has."""
    names = [name for name in wanted if any(get(row, name).n for row in board.rows)]
    arrows = {1: "↑", -1: "↓", 0: ""}
    heads = [f"{facts(name).title} {arrows[facts(name).better]}" for name in names]
    rows = tuple(_line(row, [_text(get(row, n), n) for n in names]) for row in board.rows)
    return Sheet(title, ("method", *heads, "cells"), rows)


def _text(spread: Spread, metric: str) -> str:
    return with_spread(spread, metric) if metric in WITH_SPREAD else shown(spread.mean, metric)


def _line(row: BoardRow, cells: list[str]) -> tuple[str, ...]:
    mark = INCOMPLETE if row.done and not row.complete else ""
    marked = [cell if cell == NONE else cell + mark for cell in cells]
    return (row.label, *marked, f"{len(row.done)}/{len(row.asked)}")
