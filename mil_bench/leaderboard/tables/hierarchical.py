"""Every level of the tree, and how far mistakes are from the truth: a row per method."""

from __future__ import annotations

from collections.abc import Iterable

from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import Board, BoardRow
from mil_bench.leaderboard.tables.columns import columns, level_column
from mil_bench.leaderboard.tables.identity import KEYS, STANDING, method_rows, origin_columns
from mil_bench.leaderboard.tables.measure import measured
from mil_bench.leaderboard.tables.table import Table
from mil_bench.taxonomy import LEAF

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
