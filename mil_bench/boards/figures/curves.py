"""ROC and precision-recall curves of every leaf class, with bands over patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.board import BoardRow
from mil_bench.boards.figures.panels import heading, key, row_names, rows_of, sample
from mil_bench.boards.report import Report
from mil_bench.evaluation.inference.resampling import Resampling
from mil_bench.evaluation.ranking import precision_at, sensitivity_at
from mil_bench.evaluation.sums import means_defined
from mil_bench.pictures.style import (
    GREY,
    LABEL,
    SMALL,
    TINY,
    Look,
    blank,
    looks,
    quiet,
    short,
    titled,
)

GRID = np.linspace(0, 1, 201)
IN_COLOUR, WITH_BAND = 4, 2
"""Rows from the top that have colours, and that have bands; all others are grey."""
_REPLICATES, _ACROSS = 500, 4
At = Callable[
    [NDArray[np.float64], NDArray[np.bool_], NDArray[np.float64], NDArray[np.float32]],
    NDArray[np.float64],
]


@dataclass(frozen=True)
class Kind:
    """Axes of a figure of curves, and the function that computes a curve."""

    title: str
    x: str
    y: str
    at: At


_ROC = Kind("ROC", "1 - specificity (%)", "sensitivity (%)", sensitivity_at)
_PRECISION = Kind("Precision and recall", "recall (%)", "precision (%)", precision_at)


def draw_roc(report: Report) -> Figure | None:
    """Draw sensitivity against 1 - specificity, a panel per leaf class."""
    return _draw(report, _ROC)


def draw_precision(report: Report) -> Figure | None:
    """Draw precision against recall, a panel per leaf class."""
    return _draw(report, _PRECISION)


def curve(row: BoardRow, k: int, at: At, drawn: Resampling | None) -> NDArray[np.float64]:
    """Return ``(1 + B, places)``: the mean curve of class ``k``, then those of replicates, if any.

    Averaged over folds within a seed, then over seeds, as all scores are; a fold without the class
    is left out. ``nan`` where there is none.
    """
    by_seed: dict[int, list[NDArray[np.float64]]] = {}
    for (seed, _), p in sorted(row.predictions.items()):
        # No draws: one column of ones is the estimate itself.
        weights = drawn.of_slides(p) if drawn else np.ones((len(p), 1), dtype=np.float32)
        points = at(GRID, p.labels == k, p.heads[LEAF][:, k], weights)
        by_seed.setdefault(seed, []).append(points.T)
    # Folds, then seeds.
    return means_defined([means_defined(folds, axis=0) for folds in by_seed.values()], axis=0)


def _draw(report: Report, kind: Kind) -> Figure | None:
    rows = [row for row in rows_of(report) if row.ranked]
    tree = report.board.taxonomy
    if tree is None or not rows:
        return None
    across = min(_ACROSS, len(tree.leaves))
    down = -(-len(tree.leaves) // across)
    figure = blank(2.2 * across + 0.6, 2.3 * down + 1.0)
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flatten()
    look, drawn = looks([row.label for row in rows]), _resampling(report, rows)
    for k, (axis, leaf) in enumerate(zip(axes, tree.leaves, strict=False)):
        _panel(axis, rows, k, kind, look, drawn)
        axis.set_title(short(leaf, 24), loc="left", **LABEL)
        if k % across == 0:
            axis.set_ylabel(kind.y, fontsize=SMALL)
        if k + across >= len(tree.leaves):
            axis.set_xlabel(kind.x, fontsize=SMALL)
            axis.tick_params(labelbottom=True)
    for axis in axes[len(tree.leaves) :]:
        axis.set_axis_off()
    key(figure, axes[0])
    return titled(figure, heading(report, kind.title), _note(report, rows, drawn))


def _panel(
    axis: Axes,
    rows: Sequence[BoardRow],
    k: int,
    kind: Kind,
    look: dict[str, Look],
    drawn: Resampling | None,
) -> None:
    names = row_names(rows)
    for i, row in enumerate(rows):
        # Bands of the first rows only: draws are slow.
        curves = 100 * curve(row, k, kind.at, drawn if i < WITH_BAND else None)
        if np.isnan(curves[0]).all():
            continue
        style = look[row.label]
        if i >= IN_COLOUR:
            label = "others" if i == IN_COLOUR else f"_{i}"  # "_" hides a line from the legend
            axis.plot(100 * GRID, curves[0], color=GREY, alpha=0.45, lw=0.7, label=label)
            continue
        axis.plot(
            100 * GRID, curves[0], color=style.color, ls=style.dashes, lw=1.4, zorder=4 - 0.1 * i,
            label=names[row.label],
        )  # fmt: skip
        if len(curves) > 1:
            # Pointwise; nan where a draw has no slide of the class.
            low, high = np.nanquantile(curves[1:], [0.025, 0.975], axis=0)
            axis.fill_between(100 * GRID, low, high, color=style.color, alpha=0.15, lw=0)
    if not axis.lines:
        axis.text(50, 50, "no slide of this class", ha="center", fontsize=TINY, color=GREY)
    _chance(axis, rows[0], k, kind)
    axis.set(xlim=(-1, 101), ylim=(-1, 101), aspect="equal")
    axis.set_xticks([0, 50, 100])
    axis.set_yticks([0, 50, 100])
    quiet(axis)


def _chance(axis: Axes, row: BoardRow, k: int, kind: Kind) -> None:
    """The diagonal, or the share of the class."""
    share = 100 * float(np.mean([np.mean(p.labels == k) for p in row.predictions.values()]))
    ends = [0, 100] if kind is _ROC else [share, share]
    axis.plot([0, 100], ends, color=GREY, lw=0.9, ls=(0, (3, 3)), zorder=1)


def _resampling(report: Report, rows: Sequence[BoardRow]) -> Resampling | None:
    if report.analysis.refusal:  # patients that differ between rows cannot be drawn together
        return None
    cells = [p for row in rows for p in row.predictions.values()]
    return Resampling.of(cells, _REPLICATES)


def _note(report: Report, rows: Sequence[BoardRow], drawn: Resampling | None) -> str:
    lines = [
        sample(report.board),
        "Curves are averaged over folds, then seeds, at equal positions.",
        "Dashed grey: chance.",
    ]
    if drawn:
        whose = "both methods" if len(rows) == WITH_BAND else f"the first {WITH_BAND} methods"
        whose = "the method" if len(rows) < WITH_BAND else whose
        lines.append(f"Bands: pointwise 95 % CI (bootstrap over patients) of {whose}.")
    return " ".join(lines)
