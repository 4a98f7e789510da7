"""Coarse gain: is a level's own head better than summing the leaves, which every method can do?"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.evaluation.hierarchical import GAINS
from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.metrics_table import facts
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.figures.captions import bars_note, heading, number_words, sample
from mil_bench.leaderboard.figures.numbers import numbers, rows_of
from mil_bench.leaderboard.figures.panels import beside, dot, name_rows
from mil_bench.leaderboard.figures.style import BLUE, INK, blank, headed, quiet, titled
from mil_bench.leaderboard.report import Report
from mil_bench.leaderboard.tables.table import Number


def draw(report: Report) -> Figure | None:
    """A line per method that has heads above the leaves, panels of levels and scores."""
    tree = report.board.taxonomy
    if tree is None:
        return None
    found = {
        (level, metric): numbers(report, Score(f"{level}_gain_{metric}"))
        for level in tree.levels[:-1]
        for metric in GAINS
    }
    rows = [row for row in rows_of(report) if any(row.label in f for f in found.values())]
    levels = [v for v in tree.levels[:-1] if any(found[v, m] for m in GAINS)]
    if not rows:
        return None
    figure = blank(11, len(levels) * (0.3 * len(rows) + 0.8) + 0.9)
    axes = figure.subplots(len(levels), len(GAINS), squeeze=False)
    for line, level in zip(axes, levels, strict=True):
        for axis, metric in zip(line, GAINS, strict=True):
            _panel(axis, rows, found[level, metric], first=axis is line[0])
            headed(axis, f"{level}: gain of {facts(metric).title} (points)")
    note = (
        f"{sample(report.board)} Gain: the level's own head minus the sum of leaves of the same "
        f"model. {bars_note(report)} Filled: the interval leaves zero out."
    )
    return titled(figure, heading(report, "Coarse gain"), note)


def _panel(axis: Axes, rows: Sequence[BoardRow], found: dict[str, Number], first: bool) -> None:
    axis.axvline(0, color=INK, lw=1, zorder=1)
    words = {}
    for y, row in enumerate(rows):
        if number := found.get(row.label):
            dot(axis, y, number, 100, BLUE, filled=number.low > 0 or number.high < 0)
            words[y] = number_words(number, 100)
    beside(axis, words)
    name_rows(axis, rows, shown=first)
    quiet(axis, "x", left=True)
