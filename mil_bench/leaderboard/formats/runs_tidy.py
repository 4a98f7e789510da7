"""What the runs of a board measured: a line per number of one run, before any averaging."""

from __future__ import annotations

from collections.abc import Iterator

from mil_bench.evaluation.scores import Scores
from mil_bench.leaderboard.board import Board
from mil_bench.leaderboard.formats.csv_text import csv_text
from mil_bench.leaderboard.tables.classwise import COUNTS
from mil_bench.leaderboard.tables.columns import level_column
from mil_bench.leaderboard.tables.identity import variant_text
from mil_bench.taxonomy import LEAF, Taxonomy

_COLUMNS = ("method", "variant", "seed", "fold", "status", "run_key", "reason")
_SCORE = ("level", "source", "class", "metric", "value")


def runs_tidy(board: Board) -> str:
    """CSV text: method, variant, seed, fold, status, run, then level, decision, class and score.

    ``reason`` is why a run has no result; it keeps one line with an empty score. A score that a
    method does not have has no line.
    """
    return csv_text([*_COLUMNS, *_SCORE], _lines(board))


def _lines(board: Board) -> Iterator[list[object]]:
    for row in board.rows:
        for cell in row.asked:
            record = row.runs.get(cell)
            told = (record.key, record.reason) if record else ("", "")
            place = [row.method, variant_text(row), *cell, row.status_of(cell), *told]
            if record is None or record.scores is None or board.taxonomy is None:
                yield [*place, "", "", "", "", None]
                continue
            for found in _scores(record.scores, board.taxonomy):
                yield [*place, *found]


def _scores(scores: Scores, tree: Taxonomy) -> Iterator[list[object]]:
    for metric, value in scores.overall.items():
        yield [LEAF, "", "", metric, value]
    for metric, value in scores.hierarchical.items():
        if not metric.startswith(f"{LEAF}_"):
            yield [level_column(metric, tree).level, "", "", metric, value]
    for c in scores.classes:
        counts = {name: float(getattr(c, name)) for name in COUNTS}
        for metric, value in (counts | c.metrics()).items():
            yield [c.level, c.source, c.name, metric, value]
