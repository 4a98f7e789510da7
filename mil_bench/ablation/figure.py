"""A picture of a component study: differences to the full method with their intervals."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.ablation.study import Study, StudyRow
from mil_bench.ablation.text import grid_words
from mil_bench.ablation.variants import Group
from mil_bench.evaluation.metrics import Score
from mil_bench.pictures.style import (
    AMBER,
    BLUE,
    GREEN,
    GREY,
    INK,
    LABEL,
    ORANGE,
    PURPLE,
    TINY,
    blank,
    quiet,
    titled,
)
from mil_bench.pictures.words import names

_LOOKS = {
    Group.LEFT_OUT: (BLUE, "o"),
    Group.BARE: (INK, "s"),
    Group.ADDED: (GREEN, "^"),
    Group.VARIANT: (PURPLE, "D"),
    Group.CONTROL: (ORANGE, "v"),
    Group.TWIN: (AMBER, "X"),
}


def study_figure(study: Study) -> Figure:
    """A panel per score, a dot per variant: paired difference, its 95 % interval as a bar.

    A variant without a difference keeps its line and says what became of its runs.
    """
    rows = study.rows[1:]
    metrics = [metric for found in study.levels.values() for metric in found]
    figure = blank(2.4 * len(metrics) + 2.4, 0.3 * len(rows) + 1.7)
    axes = figure.subplots(1, len(metrics), squeeze=False)[0]
    for axis, metric in zip(axes, metrics, strict=True):
        _panel(axis, study, rows, metric)
        axis.set_yticks([])
    shown = names([row.variant.title for row in rows])
    axes[0].set_yticks(range(len(rows)), [shown[row.variant.title] for row in rows], fontsize=8.5)
    for label, row in zip(axes[0].get_yticklabels(), rows, strict=True):
        label.set_color(_LOOKS[row.variant.group][0])
    spec = study.example
    title = f"{study.method} on {spec.dataset} ({spec.kind}), {spec.encoder}, split {spec.split}"
    return titled(figure, title, _footnote(study))


def _panel(axis: Axes, study: Study, rows: Sequence[StudyRow], metric: Score) -> None:
    scale = 100 if metric.facts.percent else 1
    axis.axvline(0, color=GREY, lw=1)
    for y, row in enumerate(rows):
        difference = study.estimate(row, metric).difference
        if difference.mean != difference.mean:
            axis.annotate(
                _why_not(study, row, metric), (0.02, y), xycoords=("axes fraction", "data"),
                va="center", fontsize=TINY, color=GREY,
            )  # fmt: skip
            continue
        bar = 0.0 if difference.low != difference.low else difference.half_width
        color, marker = _LOOKS[row.variant.group]
        axis.errorbar(
            scale * difference.mean, y, xerr=scale * bar, fmt=marker, ms=5, lw=1.6, color=color
        )
    _separate(axis, rows)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.set_title(metric.facts.title, loc="left", **LABEL)
    axis.set_xlabel("difference (points)" if scale == 100 else "difference", **LABEL)
    quiet(axis, "x", left=True)


def _why_not(study: Study, row: StudyRow, metric: Score) -> str:
    """Why a row has no difference."""
    if not row.cells.complete:
        return f"{row.cells.coverage} runs"
    there = study.estimate(row, metric).spread.n == len(row.cells.asked)
    return "full method lacks runs" if there else "no such score"


def _separate(axis: Axes, rows: Sequence[StudyRow]) -> None:
    """A thin line between groups."""
    for y in range(1, len(rows)):
        if rows[y].variant.group is not rows[y - 1].variant.group:
            axis.axhline(y - 0.5, color="#cccccc", lw=0.6, ls=(0, (2, 3)))


def _footnote(study: Study) -> str:
    return (
        f"Zero is the full method; to the left is less. {grid_words(study.rows[0].cells)}. "
        "Bars: 95 % interval of the paired difference over folds (Nadeau and "
        "Bengio 2003), not corrected for the number of rows."
    )
