"""Reliability diagrams: is a decision as often right as the model is sure of it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.evaluation.calibration import equal_mass_bins
from mil_bench.evaluation.inference.proportions import effective_size, wilson
from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.leaderboard.board import BoardRow
from mil_bench.leaderboard.figures.captions import heading, number_words, row_names, sample
from mil_bench.leaderboard.figures.numbers import numbers, rows_of
from mil_bench.leaderboard.figures.style import (
    BLUE,
    GREY,
    LABEL,
    ORANGE,
    SMALL,
    TINY,
    blank,
    quiet,
    titled,
)
from mil_bench.leaderboard.report import Report
from mil_bench.taxonomy import LEAF

BINS = 10
_ACROSS = 4


@dataclass(frozen=True)
class Bin:
    """Decisions of like confidence: mean confidence, share that is right, its interval."""

    confidence: float
    right: float
    low: float
    high: float


def bins_of(row: BoardRow) -> list[Bin]:
    """Equally many decisions each, of all folds and seeds together, in order of confidence.

    Intervals are Wilson's for as many independent slides as the patients of a bin are worth.
    """
    cells = list(row.predictions.values())
    confidence = np.concatenate([p.heads[LEAF].max(1) for p in cells])
    right = np.concatenate([p.heads[LEAF].argmax(1) == p.labels for p in cells])
    groups = np.concatenate([p.groups for p in cells])
    index = equal_mass_bins(confidence, BINS)
    found = []
    for b in np.unique(index):
        own = index == b
        share = float(right[own].mean())
        ends = wilson(share, effective_size(groups[own]))
        found.append(Bin(float(confidence[own].mean()), share, *ends))
    return found


def draw(report: Report) -> Figure | None:
    """A panel per method with its calibration error and Brier score."""
    rows = rows_of(report)
    if not rows:
        return None
    across = min(_ACROSS, len(rows))
    down = -(-len(rows) // across)
    figure = blank(2.3 * across + 0.9, 2.35 * down + 1.0)
    axes = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True).flatten()
    names = row_names(rows, longest=22)
    scores = {name: numbers(report, Score(name)) for name in ("ece", "brier")}
    for i, (axis, row) in enumerate(zip(axes, rows, strict=False)):
        _panel(axis, bins_of(row))
        axis.set_title(names[row.label], loc="left", **LABEL)
        told = [
            f"{title} {number_words(scores[name][row.label], scale)}"
            for name, title, scale in (("ece", "ECE", 100.0), ("brier", "Brier", 1.0))
            if row.label in scores[name]
        ]
        axis.text(98, 2, "\n".join(told), ha="right", va="bottom", fontsize=TINY, color=GREY)
        if i % across == 0:
            axis.set_ylabel("right (%)", fontsize=SMALL)
        if i + across >= len(rows):
            axis.set_xlabel("confidence (%)", fontsize=SMALL)
            axis.tick_params(labelbottom=True)
    for axis in axes[len(rows) :]:
        axis.set_axis_off()
    note = (
        f"{sample(report.board)} Dots: {BINS} bins of equally many leaf decisions of all folds and "
        "seeds; bars: 95 % (Wilson, for as many slides as the patients of a bin are worth). "
        "Orange: gap to the diagonal; below it the model is too sure. ECE per run, in 15 bins."
    )
    return titled(figure, heading(report, "Reliability"), note)


def _panel(axis: Axes, bins: list[Bin]) -> None:
    axis.plot([0, 100], [0, 100], color=GREY, lw=1, ls=(0, (3, 3)), zorder=1)
    sure = [100 * b.confidence for b in bins]
    right = [100 * b.right for b in bins]
    axis.fill_between(sure, sure, right, color=ORANGE, alpha=0.18, lw=0)
    for x, b in zip(sure, bins, strict=True):
        axis.plot([x, x], [100 * b.low, 100 * b.high], color=BLUE, lw=1.1)
    axis.plot(sure, right, "-o", color=BLUE, ms=3.5, lw=0.9)
    axis.set(xlim=(-2, 102), ylim=(-2, 102), aspect="equal")
    axis.set_xticks([0, 25, 50, 75, 100])
    axis.set_yticks([0, 25, 50, 75, 100])
    quiet(axis)
