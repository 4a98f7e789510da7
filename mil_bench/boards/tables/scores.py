"""Tables of scores: the leaves, the levels of the tree, and every class against the rest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED, Board, BoardRow, SiteEvidence
from mil_bench.boards.tables.columns import class_column, columns
from mil_bench.boards.tables.identity import (
    KEYS,
    PLACE,
    STANDING,
    described,
    method_rows,
    origin_columns,
)
from mil_bench.boards.tables.measure import measured
from mil_bench.boards.tables.table import Cell, Column, Number, Row, Table, score_column
from mil_bench.evaluation.metrics import CLASS_METRICS, COUNTS, PRIMARY, Score, in_order

_OF_LEAVES = (PRIMARY, "macro_auc", "qwk", "macro_f1", "worst_sensitivity")
_OF_TREE = ("fine_error", "severity", "full_path_accuracy", "inconsistency")
"""What people see; files hold all."""
OF_HEADS = tuple(map(Score.of_tree, ("inconsistency", "soft_inconsistency")))
"""0 by construction for methods without upper heads, so empty for them."""
_CLASS = ("level", "source", "class")
_TREE_NOTE = (
    "summed: the class with the largest sum of leaf probabilities; direct: the level's own head, "
    "none for a shuffled tree, whose classes are others; gain: direct minus summed. Severity falls "
    "when mild mistakes are added: read it with the fine error. Tier and rank are those of the "
    "leaves"
)
_CLASS_NOTE = (
    "Leaves, and upper levels by their own head (direct) and from the leaves (summed). Slides and "
    "patients of the class count once, however often they are tested"
)


def overall_table(analysis: Analysis) -> Table | None:
    """Return scores of the leaf level, in order of the board; ``None`` without any result."""
    board = analysis.board
    scores = in_order(s for of_run in board.scores for s in of_run.values if _of_leaves(s))
    if not scores:
        return None
    rows = method_rows(analysis, {str(score): measured(analysis, score) for score in scores})
    every = (*columns(*KEYS), *STANDING, *map(score_column, scores), *origin_columns(board))
    wanted = ("tier", "rank", *_OF_LEAVES, "detectable", "coverage", "evidence", "verification")
    return Table("overall", "Overall", every, rows, KEYS, _there(every, wanted), _note(analysis))


def _of_leaves(score: Score) -> bool:
    return score.is_leaf and not score.name


def _note(analysis: Analysis) -> str:
    """What this many patients can show: differences, and the ranking as a whole."""
    least, agreement = analysis.detectable(RANKED), analysis.agreement(RANKED, 1)
    sentences = []
    if 100 * least >= 0.05:  # below a rounding step nothing is stated
        sentences.append(
            f"Differences of balanced accuracy below about {100 * least:.1f} points are not "
            "detectable with this many patients"
        )
    if agreement == agreement:
        sentences.append(
            f"The ranking and those of resampled patients agree with a Kendall's tau of "
            f"{agreement:.2f} on average (1: nothing changes)"
        )
    return ". ".join(sentences)


def hierarchical_table(analysis: Analysis) -> Table | None:
    """Return scores of levels and tree, in order of the board; ``None`` for a flat tree."""
    board = analysis.board
    if board.taxonomy is None or board.taxonomy.depth == 1 or not board.scores:
        return None
    scores = {_tree_column(score): score for score in tree_scores(board)}
    measures = {
        column.name: measured(analysis, score, _has_heads)
        if score in OF_HEADS  # consistency is 0 by construction without heads
        else measured(analysis, score)
        for column, score in scores.items()
    }
    rows = method_rows(analysis, measures)
    every = (*columns(*KEYS), *STANDING, *scores, *origin_columns(board))
    upper = [
        str(Score(PRIMARY, level, source))
        for level in board.taxonomy.levels[:-1]
        for source in ("summed", "direct", "gain")
    ]
    wanted = ("tier", "rank", f"{LEAF}_{PRIMARY}", *upper, *_OF_TREE, "coverage")
    return Table("hierarchical", "Hierarchy", every, rows, KEYS, _there(every, wanted), _TREE_NOTE)


def tree_scores(board: Board) -> list[Score]:
    """Return the scores that boards show of levels, from the top, then of the tree.

    Of the leaves they are the metrics that upper levels have, too.
    """
    scores = dict.fromkeys(
        score
        for of_run in board.scores
        for score in of_run.values
        # Class scores have their own table.
        if not score.name and (score.facts.upper if score.is_leaf else score.on_boards)
    )
    levels = board.taxonomy.levels if board.taxonomy else ()
    place = {level: i for i, level in enumerate(levels)}
    # The tree has no level, so it comes last.
    return sorted(scores, key=lambda score: place.get(score.level, len(place)))


def _tree_column(score: Score) -> Column:
    """The column of a level or of the tree; leaf scores say that they are of the leaves."""
    column = score_column(score)
    if not score.is_leaf:
        return column
    return replace(column, name=f"{LEAF}_{column.name}", title=f"{LEAF} {column.title}")


def _has_heads(row: BoardRow) -> bool:
    return row.has_heads


def _there(every: tuple[Column, ...], wanted: tuple[str, ...]) -> tuple[str, ...]:
    names = {column.name for column in every}
    return tuple(name for name in wanted if name in names)


def classwise_table(analysis: Analysis) -> Table | None:
    """Return scores of every class, a row per method, level, decision and class.

    Marks compare methods within a class. ``None`` without any result.
    """
    board = analysis.board
    if not board.class_keys:
        return None
    measures = {
        (key, metric): measured(analysis, Score(metric, *key))
        for key in board.class_keys
        for metric in CLASS_METRICS
    }
    description = described(analysis)
    rows = []
    for row in board.rows:
        for key in board.class_keys:
            scores = {metric: measures[key, metric][row.label] for metric in CLASS_METRICS}
            if any(scores.values()):  # any: a row without results has no line
                place: dict[str, Cell] = dict(zip(_CLASS, key, strict=True))
                counts = _stated_counts(board.site, key) if board.site else _counts(row, key)
                cells = description[row.label] | place | counts | scores
                rows.append(Row(row.label, cells))
    every = (
        *columns(*KEYS, *_CLASS),
        *PLACE,
        *map(class_column, (*COUNTS, *CLASS_METRICS)),
        *origin_columns(board),
    )
    shown = (*COUNTS, *CLASS_METRICS, "coverage")
    return Table("classwise", "Classes", every, tuple(rows), (*KEYS, *_CLASS), shown, _CLASS_NOTE)


def _stated_counts(site: SiteEvidence, key: tuple[str, str, str]) -> dict[str, Cell]:
    """The counts of a leaf in a site report; empty where they are suppressed."""
    level, _, name = key
    stated = site.counts[name] if level == LEAF else (None, None)
    return {
        count: None if n is None else Number(n)
        for count, n in zip(("support", "patients"), stated, strict=True)
    }


def _counts(row: BoardRow, key: tuple[str, str, str]) -> dict[str, Cell]:
    """Distinct slides of a class in the test sets of a row, and their patients."""
    level, _, name = key
    slides: set[str] = set()
    patients: set[str] = set()
    for p in row.predictions.values():
        # A slide of several seeds counts once.
        of_class = np.flatnonzero(p.truth(level) == p.taxonomy.classes[level].index(name))
        slides.update(p.slide_ids[of_class].tolist())
        patients.update(p.groups[of_class].tolist())
    return {"support": Number(len(slides)), "patients": Number(len(patients))}
