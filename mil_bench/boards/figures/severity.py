"""Severity of mistakes against accuracy: fewer mistakes, or milder ones?"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.boards.figures.panels import (
    bars_note,
    cross,
    heading,
    key,
    numbers,
    row_names,
    rows_of,
    sample,
)
from mil_bench.boards.report import Report
from mil_bench.evaluation.metrics import Score
from mil_bench.pictures.style import GREY, LABEL, TINY, blank, looks, quiet, titled


def draw(report: Report) -> Figure | None:
    """Draw leaf accuracy and severity of mistakes, with lines of equal mean distance."""
    rows = rows_of(report)
    right, severity = (
        numbers(report, score) for score in (Score("accuracy"), Score.of_tree("severity"))
    )
    rows = [row for row in rows if row.label in right and row.label in severity]
    if not rows:
        return None
    look, names = looks([row.label for row in rows]), row_names(rows)
    side = 0.05 * min(len(rows), 40)
    figure = blank(5.0 + side, 3.9 + side)
    axis = figure.subplots()
    for row in rows:
        cross(axis, right[row.label], severity[row.label], (100, 1), look[row.label],
              names[row.label])  # fmt: skip
    _equal_distances(axis)
    axis.set_xlabel("leaf accuracy (%) ↑", **LABEL)
    axis.set_ylabel("severity of mistakes (levels) ↓", **LABEL)
    quiet(axis)
    key(figure, axis)
    note = (
        f"{sample(report.board)} {bars_note(report)} Severity: mean height of the lowest common "
        "ancestor over wrong slides. Dotted: equal mean distance over all slides, "
        "(1 - accuracy) x severity; lower right is better."
    )
    return titled(figure, heading(report, "Mistakes"), note)


def _equal_distances(axis: Axes) -> None:
    """Draw dotted lines of equal mean distance, labelled at their right end."""
    (left, end), (low, high) = axis.get_xlim(), axis.get_ylim()
    x = np.linspace(max(left, 0.0), min(end, 99.5), 200)
    grid = (1 - x[None, ::40] / 100) * np.linspace(low, high, 5)[:, None]
    for distance in np.unique(np.round(np.linspace(grid.min(), grid.max(), 7)[1:-1], 2)):
        y = distance / (1 - x / 100)
        inside = (y >= low) & (y <= high)
        if inside.sum() < 2:
            continue
        axis.plot(x[inside], y[inside], color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=1)
        place = (x[inside][-1], y[inside][-1])
        axis.annotate(
            f"{distance:.2f}", place, xytext=(2, 0), textcoords="offset points", fontsize=TINY,
            color=GREY, va="center", annotation_clip=False,
        )  # fmt: skip
    axis.set_xlim(left, end)
    axis.set_ylim(low, high)
