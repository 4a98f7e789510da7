"""Class by class: heatmaps of AUC and sensitivity, and hierarchical confusion matrices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.boards.board import BoardRow
from mil_bench.boards.confusions import confusions
from mil_bench.boards.figures.panels import (
    axis_words,
    bars_note,
    brackets,
    heading,
    leaf_names,
    name_rows,
    numbers,
    row_names,
    rows_of,
    runs_of,
    sample,
)
from mil_bench.boards.report import Report
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.sums import ratio
from mil_bench.pictures.style import (
    GREY,
    INK,
    LABEL,
    SEQUENTIAL,
    SMALL,
    TINY,
    blank,
    ink_on,
    titled,
)

_LOWEST = {"auc": 50.0, "sensitivity": 0.0}
"""Value of the palest cell, in percent: chance, or zero."""


def draw_classes(report: Report) -> Figure | None:
    """Draw AUC and sensitivity of every leaf class with their intervals."""
    rows, tree = rows_of(report), report.board.taxonomy
    if tree is None or not rows:
        return None
    across = len(tree.leaves) <= 10  # few classes leave room for two panels in a line
    width, height = 0.58 * len(tree.leaves) + 0.3, 0.42 * len(rows) + 0.9
    shape = (1, 2) if across else (2, 1)
    figure = blank(width * shape[1] + 1.8, height * shape[0] + 0.9)
    axes = figure.subplots(*shape, squeeze=False).flatten()
    for i, (axis, metric) in enumerate(zip(axes, _LOWEST, strict=True)):
        heat_map(axis, report, rows, metric, ends=True)
        name_rows(axis, rows, shown=not (across and i))
        axis.set_title(
            axis_words(Score(metric)), loc="left", pad=20 if tree.depth > 1 else 6, **LABEL
        )
        brackets(axis, tree)
        axis.set_ylim(len(rows), 0)
        # Cells of a heatmap are centred at halves.
        axis.set_yticks(axis.get_yticks() + 0.5, axis.get_yticklabels())
    intervals = bars_note(report, "Small")
    note = f"{sample(report.board)} {intervals} –: undefined (a class without slides)."
    return titled(figure, heading(report, "Classes"), note)


def heat_map(
    axis: Axes, report: Report, rows: Sequence[BoardRow], metric: str, ends: bool = False
) -> None:
    """Draw methods down, leaves across, in percent; ``ends`` writes intervals below values."""
    tree = report.board.taxonomy
    assert tree is not None
    values = np.full((len(rows), len(tree.leaves)), np.nan)
    words = np.full(values.shape, "", dtype=object)
    for x, leaf in enumerate(tree.leaves):
        values_of = numbers(report, Score(metric, LEAF, "direct", leaf))
        for y, row in enumerate(rows):
            if n := values_of.get(row.label):
                values[y, x] = 100 * n.value
                # nan without an interval
                words[y, x] = f"{100 * n.low:.0f}–{100 * n.high:.0f}" if n.low == n.low else ""
    sns.heatmap(
        values, ax=axis, cmap=SEQUENTIAL, vmin=_LOWEST[metric], vmax=100, cbar=False,
        linewidths=0.6, linecolor="white", xticklabels=leaf_names(tree), yticklabels=False,
    )  # fmt: skip
    _write(axis, values, words if ends else None, _LOWEST[metric])
    turned = max(map(len, tree.leaves)) > 6  # long names would overlap
    axis.tick_params(labelsize=SMALL, length=0)
    axis.tick_params(axis="x", labelrotation=90 if turned else 0)


def _write(
    axis: Axes, values: NDArray[np.float64], words: NDArray[np.object_] | None, lowest: float
) -> None:
    for (y, x), value in np.ndenumerate(values):
        if value != value:
            axis.text(x + 0.5, y + 0.5, "–", ha="center", va="center", color=GREY, fontsize=SMALL)
            continue
        color = ink_on((value - lowest) / (100 - lowest))
        up = 0.5 if words is None else 0.4
        axis.text(
            x + 0.5, y + up, f"{value:.0f}", ha="center", va="center", color=color, fontsize=SMALL
        )
        if words is not None:
            axis.text(
                x + 0.5, y + 0.73, str(words[y, x]), ha="center", va="center", color=color,
                fontsize=TINY - 1.5,
            )  # fmt: skip


_ACROSS = 4
_READABLE = 12
"""Classes up to which cells have room for numbers."""


def draw_confusions(report: Report) -> Figure | None:
    """Draw a matrix per method: the decided classes of each true class, in percent."""
    rows, tree = rows_of(report), report.board.taxonomy
    if tree is None or not rows:
        return None
    counts = {e["method"]: e["matrix"] for e in confusions(report.board) if e["level"] == LEAF}
    across = min(_ACROSS, len(rows))
    down = -(-len(rows) // across)
    side = 0.33 * min(len(tree.leaves), 24) + 0.3
    below = 0.08 * max(map(len, leaf_names(tree, 10)))
    figure = blank(across * side + 0.6 + below, down * (side + 0.6 + below) + 0.9)
    axes = figure.subplots(down, across, squeeze=False).flatten()
    names = row_names(rows, longest=26)
    for i, (axis, row) in enumerate(zip(axes, rows, strict=False)):
        _matrix(axis, tree, np.array(counts[row.label], dtype=np.float64))
        axis.set_title(names[row.label], loc="left", pad=20 if tree.depth > 1 else 6, **LABEL)
        if i % across:
            axis.set_yticks([])
        else:
            axis.set_ylabel("true class", fontsize=SMALL, color=GREY)
    for axis in axes[len(rows) :]:
        axis.set_axis_off()
    note = (
        f"{sample(report.board)} Rows: true class, columns: decided class; percent of the true "
        f"class, slides summed over folds and seeds.{_blocks_note(tree)}"
    )
    return titled(figure, heading(report, "Confusions"), note)


def _blocks_note(tree: Taxonomy) -> str:
    return f" Frames: correct at level {tree.levels[-2]}." if tree.depth > 1 else ""


def _matrix(axis: Axes, tree: Taxonomy, counts: NDArray[np.float64]) -> None:
    # A class without slides is nan, not zero.
    shares = 100 * ratio(counts, counts.sum(1, keepdims=True))
    words = leaf_names(tree, 10)
    sns.heatmap(
        shares, ax=axis, cmap=SEQUENTIAL, vmin=0, vmax=100, cbar=False, square=True,
        linewidths=0.4, linecolor="white", xticklabels=words, yticklabels=words,
    )  # fmt: skip
    if len(words) <= _READABLE:
        for (y, x), share in np.ndenumerate(shares):
            _cell(axis, x, y, share)
    _blocks(axis, tree)
    turned = max(map(len, words)) > 3
    axis.tick_params(labelsize=TINY, length=0)
    axis.tick_params(axis="x", labelrotation=90 if turned else 0)
    axis.tick_params(axis="y", labelrotation=0)
    brackets(axis, tree, y=-0.12, per_leaf=6)


def _cell(axis: Axes, x: int, y: int, share: float) -> None:
    style: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": TINY - 0.5}
    if share != share:
        axis.text(x + 0.5, y + 0.5, "–", color=GREY, **style)
    elif share >= 0.5:  # below half a percent it would be a 0
        axis.text(x + 0.5, y + 0.5, f"{share:.0f}", color=ink_on(share / 100), **style)


def _blocks(axis: Axes, tree: Taxonomy) -> None:
    """Draw frames around the decisions that are correct one level above the leaves."""
    # A tree of one level has no blocks.
    for first, end, name in runs_of(tree, tree.levels[-2]) if tree.depth > 1 else ():
        for start, stop, other in runs_of(tree, tree.levels[-2]):
            if name == other:
                size = (stop - start, end - first)
                axis.add_patch(
                    Rectangle((start, first), *size, fill=False, ec=INK, lw=1.3, clip_on=False)
                )
