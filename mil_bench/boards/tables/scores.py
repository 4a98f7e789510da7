"""The leaf level: a row per method."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import RANKED, Analysis
from mil_bench.boards.board import Board, BoardRow
from mil_bench.boards.tables.columns import class_column, columns, level_column
from mil_bench.boards.tables.identity import (
    KEYS,
    PLACE,
    STANDING,
    described,
    method_rows,
    origin_columns,
)
from mil_bench.boards.tables.measure import measured
from mil_bench.boards.tables.table import Cell, Number, Row, Table, score_column
from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.metrics import PRIMARY, in_order

SHOWN = (
    "tier",
    "rank",
    PRIMARY,
    "macro_auc",
    "qwk",
    "macro_f1",
    "worst_sensitivity",
    "detectable",
    "coverage",
)


def overall_table(analysis: Analysis) -> Table | None:
    """Scores of the leaf level, in order of the board; ``None`` without any result."""
    board = analysis.board
    names = in_order(name for scores in board.scores for name in scores.overall)
    if not names:
        return None
    rows = method_rows(analysis, {name: measured(analysis, Score(name)) for name in names})
    every = (*columns(*KEYS), *STANDING, *map(score_column, names), *origin_columns(board))
    shown = tuple(name for name in SHOWN if name in {c.name for c in every})
    return Table("overall", "Overall", every, rows, KEYS, shown, _note(analysis))


def _note(analysis: Analysis) -> str:
    least = analysis.detectable(RANKED)
    if least != least:
        return ""
    return (
        f"differences of balanced accuracy below about {100 * least:.1f} points are not found with "
        "this many patients"
    )


# Every level of the tree, and how far mistakes are from the truth: a row per method.

_OF_LEVEL = ("summed_balanced_accuracy", "direct_balanced_accuracy", "gain_balanced_accuracy")
_OF_TREE = ("fine_error", "severity", "full_path_accuracy", "inconsistency")
_OF_HEADS = ("inconsistency", "soft_inconsistency")
"""0 by construction for methods without upper heads, so empty for them."""
_NOTE = (
    "summed: the class with the largest sum of leaf probabilities; direct: the level's own head, "
    "none for a shuffled tree, whose classes are others; gain: direct minus summed. Severity falls "
    "when mild mistakes are added: read it with the fine error. Tier and rank are those of the "
    "leaves"
)


def hierarchical_table(analysis: Analysis) -> Table | None:
    """Scores of levels and tree, in order of the board; ``None`` for a flat tree."""
    board = analysis.board
    names = hierarchical_names(board)
    if board.taxonomy is None or not names:
        return None
    found = {
        name: measured(analysis, Score(name), _has_heads)
        if name in _OF_HEADS
        else measured(analysis, Score(name))
        for name in names
    }
    rows = method_rows(analysis, found)
    scores = [level_column(name, board.taxonomy) for name in names]
    every = (*columns(*KEYS), *STANDING, *scores, *origin_columns(board))
    upper = [f"{level}_{name}" for level in board.taxonomy.levels[:-1] for name in _OF_LEVEL]
    wanted = ("tier", "rank", f"{LEAF}_balanced_accuracy", *upper, *_OF_TREE, "coverage")
    there = {column.name for column in every}
    shown = tuple(name for name in wanted if name in there)
    return Table("hierarchical", "Hierarchy", every, rows, KEYS, shown, _NOTE)


def hierarchical_names(board: Board) -> list[str]:
    """Names of the hierarchical scores of a board: levels from the top, then the tree."""
    names = dict.fromkeys(name for scores in board.scores for name in scores.hierarchical)
    levels = board.taxonomy.levels if board.taxonomy else ()
    return sorted(names, key=lambda name: _place(name, levels))


def _has_heads(row: BoardRow) -> bool:
    scores = [r.scores for r in row.done.values() if r.scores is not None]
    return any(c.level != LEAF and c.source == "direct" for s in scores for c in s.classes)


def _place(name: str, levels: Iterable[str]) -> tuple[bool, int]:
    found = [i for i, level in enumerate(levels) if name.startswith(f"{level}_")]
    return (not found, found[0] if found else 0)


# Every class against the rest: a row per method, level, decision and class.

CLASS_METRICS = ("auc", "ap", "sensitivity", "specificity", "ppv", "npv", "f1")
COUNTS = ("support", "patients")
_CLASS = ("level", "source", "class")
_NOTE_CLASSWISE = (
    "Leaves, and upper levels by their own head (direct) and from the leaves (summed). Slides and "
    "patients of the class count once, however often they are tested"
)


def classwise_table(analysis: Analysis) -> Table | None:
    """Scores of every class; marks compare methods within a class. ``None`` without any result."""
    board = analysis.board
    if not board.class_keys:
        return None
    found = {
        (key, metric): measured(analysis, Score(metric, *key))
        for key in board.class_keys
        for metric in CLASS_METRICS
    }
    known = described(analysis)
    rows = []
    for row in board.rows:
        for key in board.class_keys:
            scores = {metric: found[key, metric][row.label] for metric in CLASS_METRICS}
            if any(scores.values()):
                named = dict(zip(_CLASS, key, strict=True))
                rows.append(Row(row.label, known[row.label] | named | _counts(row, key) | scores))
    every = (
        *columns(*KEYS, *_CLASS),
        *PLACE,
        *map(class_column, (*COUNTS, *CLASS_METRICS)),
        *origin_columns(board),
    )
    shown = (*COUNTS, *CLASS_METRICS, "coverage")
    return Table(
        "classwise", "Classes", every, tuple(rows), (*KEYS, *_CLASS), shown, _NOTE_CLASSWISE
    )


def _counts(row: BoardRow, key: tuple[str, str, str]) -> dict[str, Cell]:
    """Distinct slides of a class in the test sets of a row, and their patients."""
    level, _, name = key
    slides: set[str] = set()
    patients: set[str] = set()
    for p in row.predictions.values():
        of_class = np.flatnonzero(p.truth(level) == p.taxonomy.classes[level].index(name))
        slides.update(p.slide_ids[of_class].tolist())
        patients.update(p.groups[of_class].tolist())
    return {"support": Number(len(slides)), "patients": Number(len(patients))}
