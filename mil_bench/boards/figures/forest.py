"""Forest plot: every method's value with its 95 % CI over patients, a panel per score."""

from __future__ import annotations

from matplotlib.figure import Figure

from mil_bench.boards.figures.panels import (
    axis_words,
    bars_note,
    beside,
    dots,
    heading,
    marks_note,
    name_rows,
    number_words,
    numbers,
    rows_of,
    sample,
    scale_of,
)
from mil_bench.boards.report import Report
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.pictures.style import blank, headed, quiet, titled

_METRICS = (PRIMARY, "macro_auc", "macro_f1", "worst_sensitivity", "brier", "qwk", "accuracy")
SCORES = tuple(map(Score, _METRICS))
_PANELS, _ACROSS = 6, 3


def draw(report: Report) -> Figure | None:
    """Draw up to six scores of the leaf level; rows in order of the board."""
    rows = rows_of(report)
    values = {score: numbers(report, score) for score in SCORES}
    shown = [score for score in SCORES if values[score]][:_PANELS]
    if not shown:
        return None
    lines = -(-len(shown) // _ACROSS)
    figure = blank(11.5, lines * (0.27 * len(rows) + 0.75) + 0.9)
    axes = figure.subplots(lines, _ACROSS, squeeze=False).flatten()
    for i, (axis, score) in enumerate(zip(axes, shown, strict=False)):
        scale = scale_of(score)
        dots(axis, report, values[score], scale)
        name_rows(axis, rows, shown=i % _ACROSS == 0)
        headed(axis, axis_words(score))
        quiet(axis, left=True)
        words = {y: number_words(values[score][row.label], scale)
                 for y, row in enumerate(rows) if row.label in values[score]}  # fmt: skip
        beside(axis, words)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    note = f"{sample(report.board)} {bars_note(report)} {marks_note(report)}"
    return titled(figure, heading(report, "Scores with 95 % CI"), note)
