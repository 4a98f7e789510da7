"""The overview of a board: every method at leaf and coarse level, and per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.board import BoardRow
from mil_bench.boards.figures.classes import heat_map
from mil_bench.boards.figures.panels import (
    bars_note,
    brackets,
    chance,
    dot,
    heading,
    is_filled,
    marks_note,
    missing,
    name_rows,
    numbers,
    rows_of,
    sample,
)
from mil_bench.boards.report import Report
from mil_bench.boards.tables.identity import Standing, standings
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.pictures.style import (
    BLUE,
    GREY,
    LABEL,
    ORANGE,
    SHADE,
    SMALL,
    TINY,
    blank,
    quiet,
    titled,
)

_ROOMY = 12
"""Rows up to which the line spacing is wide."""
_LOOKS = {"summed": (BLUE, "o", "leaves summed"), "direct": (ORANGE, "s", "own head")}


def draw(report: Report) -> Figure | None:
    """Draw balanced accuracy with intervals, tiers and single runs, and AUC per class."""
    rows, tree = rows_of(report), report.board.taxonomy
    if tree is None or not rows:
        return None
    levels = [LEAF, *tree.levels[:1]] if tree.depth > 1 else [LEAF]  # leaves and the coarsest level
    widths = [*[2.7] * len(levels), 0.45 * len(tree.leaves) + 0.6]
    height = 0.46 if len(rows) <= _ROOMY else 0.34
    figure = blank(sum(widths) + 2.2, height * len(rows) + 2.0)
    axes = figure.subplots(1, len(widths), width_ratios=widths)
    stands = standings(report.analysis)
    for axis, level in zip(axes, levels, strict=False):
        _level(axis, report, rows, level)
        name_rows(axis, rows, shown=axis is axes[0])  # names at the first panel only
        if level == LEAF:
            _tiers(axis, rows, stands)
    heat_map(axes[-1], report, rows, "auc")
    axes[-1].set_title("AUC of each class (%)", loc="left", pad=20, **LABEL)
    brackets(axes[-1], tree)
    axes[-1].set_yticks([])
    note = (
        f"{report.verdict} {sample(report.board)} {bars_note(report)} "
        f"Small dots: runs. {marks_note(report)}"
    )
    return titled(figure, heading(report, "Leaderboard"), note)


def _level(axis: Axes, report: Report, rows: Sequence[BoardRow], level: str) -> None:
    tree = report.board.taxonomy
    assert tree is not None
    by_source = {
        # Sources without a score in any row have no marks.
        source: (score, numbers(report, score))
        for source, score in _scores(level).items()
    }
    by_source = {source: pair for source, pair in by_source.items() if pair[1]}
    for y, row in enumerate(rows):
        own = [(source, *pair) for source, pair in by_source.items() if row.label in pair[1]]
        if not own:
            missing(axis, y)
        # Two marks of a row must not overlap.
        shifts = np.linspace(-0.16, 0.16, len(own)) if len(own) > 1 else [0.0]
        for shift, (source, score, values) in zip(shifts, own, strict=True):
            color, marker, _ = _LOOKS[source]
            _runs(axis, y + shift, row, score, color)
            number, shape = (
                values[row.label],
                "D" if row.label in report.analysis.unpaired else marker,
            )
            dot(axis, y + shift, number, 100, color, shape, filled=is_filled(number, values))
    chance(axis, 100 / len(tree.classes[level]))
    axis.set_xlabel("balanced accuracy (%)", fontsize=SMALL)
    quiet(axis, "x", left=True)
    words = f"{level} ({len(tree.classes[level])} classes)"
    axis.set_title(words, loc="left", pad=20, **LABEL)
    if "direct" in by_source:
        _legend(axis)


def _legend(axis: Axes) -> None:
    """Name the two sources above a panel."""
    above: dict[str, Any] = {
        "xycoords": "axes fraction", "textcoords": "offset points", "fontsize": TINY,
        "annotation_clip": False, "va": "center",
    }  # fmt: skip
    for x, (color, marker, words) in zip((0.02, 0.48), _LOOKS.values(), strict=True):
        symbol = {"o": "●", "s": "■"}[marker]
        axis.annotate(f"{symbol} {words}", (x, 1), xytext=(0, 9), color=color, **above)


def _scores(level: str) -> dict[str, Score]:
    if level == LEAF:
        return {"summed": Score(PRIMARY)}
    return {source: Score(PRIMARY, level, source) for source in _LOOKS}


def _runs(axis: Axes, y: float, row: BoardRow, score: Score, color: str) -> None:
    values = [100 * v for v in row.values(score).values()]
    places = y + np.linspace(-0.08, 0.08, len(values))
    axis.scatter(values, places, s=6, color=color, alpha=0.35, lw=0, zorder=2)


def _tiers(axis: Axes, rows: Sequence[BoardRow], stands: Mapping[str, Standing]) -> None:
    """Write tier and rank interval under every name; every other tier has a grey band."""
    for name in axis.get_yticklabels():  # room for tier and rank below the name
        name.set_verticalalignment("bottom")
    for y, row in enumerate(rows):
        standing = stands.get(row.label)
        words = _standing_words(row, standing)
        axis.annotate(
            words, (0, y), xycoords=("axes fraction", "data"), xytext=(-3.5, -1.5), ha="right",
            va="top", textcoords="offset points", fontsize=TINY, color=GREY,
            annotation_clip=False,
        )  # fmt: skip
        if standing and standing.tier % 2 == 0:
            axis.axhspan(y - 0.5, y + 0.5, color=SHADE, lw=0, zorder=0)


def _standing_words(row: BoardRow, standing: Standing | None) -> str:
    if standing is None:
        return "control, not ranked" if row.control else "not compared"
    rank = standing.rank
    ranks = f"{rank.low}–{rank.high}" if rank.low != rank.high else str(rank.rank)
    return f"tier {standing.tier}, rank {ranks}"
