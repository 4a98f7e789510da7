"""Reliability diagrams: are decisions right as often as their confidence states?"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.figures.panels import (
    bars_note,
    heading,
    number_words,
    row_names,
    rows_of,
    sample,
)
from mil_bench.boards.report import Report
from mil_bench.boards.tables.table import Number, Row, Table
from mil_bench.pictures.style import BLUE, GREY, LABEL, ORANGE, SMALL, TINY, blank, quiet, titled

_ACROSS = 4
_PAPER = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 1}
_SCORES = (("ece", "ECE", 100.0), ("brier", "Brier", 1.0))


def draw(report: Report) -> Figure | None:
    """Draw bins of leaf decisions, a panel per method with its ECE and Brier score."""
    bins, scores = report.table("reliability"), report.table("calibration")
    if bins is None or scores is None:
        return None
    rows = [row for row in rows_of(report) if row.ranked]
    if not rows:
        return None
    across = min(_ACROSS, len(rows))
    down = -(-len(rows) // across)  # -(-a // b): rounded up
    figure = blank(2.3 * across + 0.9, 2.35 * down + 1.0)
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flatten()
    names = row_names(rows, longest=27)
    for i, (axis, row) in enumerate(zip(axes, rows, strict=False)):
        _panel(axis, _of_leaves(bins, row.label))
        axis.set_title(names[row.label], loc="left", **LABEL)
        (whole,) = _of_leaves(scores, row.label)  # one row of the leaf level per method
        words = "\n".join(
            f"{title} {number_words(cell, scale)}"
            for name, title, scale in _SCORES
            if isinstance(cell := whole[name], Number)
        )
        axis.text(98, 2, words, ha="right", va="bottom", fontsize=TINY, color=GREY, bbox=_PAPER)
        if i % across == 0:
            axis.set_ylabel("accuracy (%)", fontsize=SMALL)
        if i + across >= len(rows):
            axis.set_xlabel("confidence (%)", fontsize=SMALL)
            axis.tick_params(labelbottom=True)  # sharex hides labels of all but the last line
    for axis in axes[len(rows) :]:
        axis.set_axis_off()
    note = (
        f"{sample(report.board)} Leaf decisions. {bars_note(report)} Orange: gap to the diagonal; "
        f"below it the model is overconfident. {bins.note}."
    )
    return titled(figure, heading(report, "Reliability"), note)


def _of_leaves(table: Table, label: str) -> list[Row]:
    return [row for row in table.rows if (row["method"], row["level"]) == (label, LEAF)]


def _panel(axis: Axes, bins: Sequence[Row]) -> None:
    axis.plot([0, 100], [0, 100], color=GREY, lw=1, ls=(0, (3, 3)), zorder=1)
    pairs = [(row["confidence"], row["accuracy"]) for row in bins]
    points = [(x, y) for x, y in pairs if isinstance(x, Number) and isinstance(y, Number)]
    sure, right = [100 * x.value for x, _ in points], [100 * y.value for _, y in points]
    axis.fill_between(sure, sure, right, color=ORANGE, alpha=0.18, lw=0)  # the gap to the diagonal
    for x, (_, y) in zip(sure, points, strict=True):
        axis.plot([x, x], [100 * y.low, 100 * y.high], color=BLUE, lw=1.1)
    axis.plot(sure, right, "-o", color=BLUE, ms=3.5, lw=0.9)
    axis.set(xlim=(-2, 102), ylim=(-2, 102), aspect="equal")
    axis.set_xticks([0, 25, 50, 75, 100])
    axis.set_yticks([0, 25, 50, 75, 100])
    quiet(axis)
