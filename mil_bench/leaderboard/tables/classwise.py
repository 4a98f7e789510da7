"""Every class against the rest: a row per method, level, decision and class."""

from __future__ import annotations

import numpy as np

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.tables.columns import class_column, columns
from mil_bench.leaderboard.tables.identity import KEYS, PLACE, described, origin_columns
from mil_bench.leaderboard.tables.measure import measured
from mil_bench.leaderboard.tables.table import Cell, Number, Row, Table

CLASS_METRICS = ("auc", "ap", "sensitivity", "specificity", "ppv", "npv", "f1")
COUNTS = ("support", "patients")
_CLASS = ("level", "source", "class")
_NOTE = (
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
    return Table("classwise", "Classes", every, tuple(rows), (*KEYS, *_CLASS), shown, _NOTE)


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
