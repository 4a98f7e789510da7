"""Methods in a plane: quality against cost, and severity of mistakes against accuracy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from mil_bench.boards.board import RANKED, BoardRow
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
from mil_bench.boards.tables.columns import COLUMNS
from mil_bench.boards.tables.cost import AXES, frontier
from mil_bench.boards.tables.table import Number, Table
from mil_bench.evaluation.metrics import Score
from mil_bench.pictures.style import GREY, INK, LABEL, TINY, blank, looks, quiet, titled

_UNITS = {"seconds": " (s)", "MiB": " (MiB)", "FLOPs": "", "count": ""}
_FAR = 5
"""Costs further apart than this factor get a log scale."""
_GAP = 0.07
"""Least difference in quality between points with names, of that between the best and the last."""
_ACROSS = 46
"""Characters of a name that a panel is wide."""
_Point = tuple[float, float, str]
"""Cost, per cent, label."""


def draw_pareto(report: Report) -> Figure | None:
    """Draw a panel per measured cost; the staircase joins methods that no other one dominates."""
    table, quality = report.table("cost"), numbers(report, RANKED)
    rows = [row for row in rows_of(report) if row.label in quality]
    if table is None or not rows:
        return None
    costs = {axis: values for axis in AXES if (values := _costs(table, axis))}
    if not costs:
        return None
    across = 2 if len(costs) in (2, 4) else 3
    down = -(-len(costs) // across)
    figure = blank(2.9 * across + 0.4, 2.6 * down + 0.9)
    axes = figure.subplots(down, across, squeeze=False, sharey=True).flatten()
    look, names = looks([row.label for row in rows]), row_names(rows)
    # In percent, as the axis.
    gap = _GAP * 100 * float(np.ptp([quality[row.label].value for row in rows]))
    for i, (axis, (name, values)) in enumerate(zip(axes, costs.items(), strict=False)):
        for row in rows:
            if cost := values.get(row.label):
                cross(axis, cost, quality[row.label], (1, 100), look[row.label],
                      names[row.label])  # fmt: skip
        best = _staircase(axis, rows, values, quality)
        _scale(axis, values.values())
        _name(axis, best, names, gap)
        column = COLUMNS[name]
        axis.set_xlabel(f"{column.title}{_UNITS[column.unit]} ↓", **LABEL)
        if i % across == 0:
            axis.set_ylabel("balanced accuracy (%) ↑", **LABEL)
        quiet(axis)
    for axis in axes[len(costs) :]:
        axis.set_axis_off()
    key(figure, axes[0])
    note = (
        f"{sample(report.board)} {bars_note(report)} Grey line: methods that no other method "
        "matches at lower cost (without controls and incomplete rows). Costs are means over runs."
    )
    return titled(figure, heading(report, "Quality and cost"), note)


def _costs(table: Table, axis: str) -> dict[str, Number]:
    """Label -> cost, where it is measured and positive."""
    cells = {row.method: row[axis] for row in table.rows}
    # A log scale has no place for 0.
    return {k: c for k, c in cells.items() if isinstance(c, Number) and c.value > 0}


def _staircase(
    axis: Axes, rows: Sequence[BoardRow], costs: dict[str, Number], quality: dict[str, Number]
) -> list[_Point]:
    """Draw the frontier of the competing rows; return its points, the cheapest first."""
    points = {
        row.label: (-quality[row.label].value, costs[row.label].value)  # frontier minimises both
        for row in rows
        if row.competes and row.label in costs
    }
    best = sorted((points[k][1], -100 * points[k][0], k) for k in frontier(points))
    axis.plot(
        [x for x, _, _ in best], [y for _, y, _ in best], color=GREY, lw=1,
        drawstyle="steps-post", zorder=1,
    )  # fmt: skip
    return best


def _name(axis: Axes, best: Sequence[_Point], names: Mapping[str, str], gap: float) -> None:
    """Write names at the points of a frontier, from the best down, where there is room.

    They are left of their points, where nothing is as good, or right of them at the edge.
    """
    last = float("inf")
    axis.autoscale_view()  # positions are final only now
    for x, y, label in reversed(best):
        if last - y < gap:
            continue
        last = y
        across, _ = axis.transAxes.inverted().transform(axis.transData.transform((x, y)))
        inside = across * _ACROSS > len(names[label])
        side, shift = ("right", -4) if inside else ("left", 4)
        word = axis.annotate(
            names[label], (x, y), xytext=(shift, 3), textcoords="offset points", ha=side,
            va="bottom", fontsize=TINY, color=INK, zorder=5,
            path_effects=[withStroke(linewidth=2, foreground="white")],
        )  # fmt: skip
        word.set_in_layout(False)


def _scale(axis: Axes, costs: Iterable[Number]) -> None:
    """Use a log scale where costs differ much, with plain numbers instead of powers of ten."""
    values = [cost.value for cost in costs]
    if max(values) > _FAR * min(values):
        axis.set_xscale("log")
        # Over more than two decades powers of ten are enough.
        wide = max(values) > 100 * min(values)
        axis.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 3.0), numticks=7))
        axis.xaxis.set_minor_locator(NullLocator())
    else:
        axis.xaxis.set_major_locator(MaxNLocator(5))
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _engineering(value)))


def _engineering(value: float) -> str:
    """``30``, ``0.003``, ``100k``, ``3M``."""
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.4g}{letter}"
    return f"{value:.4g}"


def draw_severity(report: Report) -> Figure | None:
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
    x = np.linspace(max(left, 0.0), min(end, 99.5), 200)  # 1 - accuracy is 0 at 100 %
    grid = (1 - x[None, ::40] / 100) * np.linspace(low, high, 5)[:, None]
    # Ends of the range touch the frame.
    for distance in np.unique(np.round(np.linspace(grid.min(), grid.max(), 7)[1:-1], 2)):
        y = distance / (1 - x / 100)
        inside = (y >= low) & (y <= high)
        if inside.sum() < 2:  # a line has two points
            continue
        axis.plot(x[inside], y[inside], color=GREY, lw=0.8, ls=(0, (1, 2)), zorder=1)
        place = (x[inside][-1], y[inside][-1])
        axis.annotate(
            f"{distance:.2f}", place, xytext=(2, 0), textcoords="offset points", fontsize=TINY,
            color=GREY, va="center", annotation_clip=False,
        )  # fmt: skip
    # plot() may have widened them.
    axis.set_xlim(left, end)
    axis.set_ylim(low, high)
