"""Ablations: differences of variants to the full method, or scores over values of settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mil_bench.boards.board import BoardRow, Study
from mil_bench.boards.figures.panels import (
    axis_words,
    bars_note,
    dot,
    heading,
    number_words,
    numbers,
    sample,
    scale_of,
)
from mil_bench.boards.report import Report
from mil_bench.boards.tables.table import Number, Row
from mil_bench.evaluation.metrics import Score
from mil_bench.pictures.style import (
    BLUE,
    GREY,
    LABEL,
    ORANGE,
    SEQUENTIAL,
    SMALL,
    TEXT,
    TINY,
    Look,
    blank,
    looks,
    names,
    quiet,
    short,
    titled,
)


def draw(report: Report) -> Figure | None:
    """Draw the picture of an ablation board; ``None`` for other boards, or without variants."""
    study = report.board.study
    if study is None:
        return None
    if not study.settings:
        # A reference alone differs from nothing.
        return _differences(report, study) if len(report.board.rows) > 1 else None
    table = report.table("sensitivity")
    assert table is not None
    return (_lines if len(study.varied) == 1 else _heat_maps)(report, study, table.leads)


def _differences(report: Report, study: Study) -> Figure:
    """A panel per score, a line per variant: its difference to the full method."""
    table = report.table("ablation")
    assert table is not None
    others = [row for row in report.board.rows if row.label != study.reference]
    compared = {row.score for row in table.rows if row["difference"] is not None}
    # Scores without any comparison only if there is no other.
    scores = [score for score in table.leads if score in compared] or list(table.leads)
    figure = blank(2.4 * len(scores) + 2.4, 0.3 * len(others) + 1.7)
    axes = figure.subplots(1, len(scores), squeeze=False)[0]
    groups = [study.cells[row.label]["group"] for row in others]
    look = looks(list(dict.fromkeys(groups)))
    for axis, score in zip(axes, scores, strict=True):
        lines = {row.method: row for row in table.rows if row.score == score}
        for y, (row, group) in enumerate(zip(others, groups, strict=True)):
            _difference(axis, y, row, lines[row.label], look[group], scale_of(score))
        _separate(axis, groups)
        axis.axvline(0, color=GREY, lw=1)
        axis.set(ylim=(len(others) - 0.4, -0.6), yticks=[])  # the first row at the top
        axis.set_title(score.facts.title, loc="left", **LABEL)
        axis.set_xlabel("difference (points)" if score.facts.percent else "difference", **LABEL)
        quiet(axis, "x", left=True)
    shown = names([study.cells[row.label]["change"] for row in others])
    axes[0].set_yticks(range(len(others)), list(shown.values()), fontsize=SMALL)
    for label, group in zip(axes[0].get_yticklabels(), groups, strict=True):
        label.set_color(look[group].color)
    note = (
        f"{sample(report.board)} Zero is the full method; left of it is lower. "
        f"{bars_note(report)} Grey: the same over folds (retraining). Filled: different on new "
        "patients and over retraining (Holm over the rows of a panel)."
    )
    return titled(figure, heading(report, "Differences"), note)


def _difference(axis: Axes, y: float, row: BoardRow, line: Row, look: Look, scale: float) -> None:
    difference, retrained = line["difference"], line["refits"]
    if not isinstance(difference, Number):
        words = f"{row.coverage} runs" if not row.complete else "no such score"
        # It has a value, but other slides or runs than the reference.
        if isinstance(line["value"], Number) and row.complete:
            words = "not compared"
        axis.annotate(
            words, (0.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=TINY,
            color=GREY,
        )  # fmt: skip
        return
    if isinstance(retrained, Number):
        ends = [scale * retrained.low, scale * retrained.high]
        axis.plot(ends, [y, y], color=GREY, lw=0.8, alpha=0.6)  # below the interval over patients
    confirmed = line["decision"] in ("better", "worse")
    dot(axis, y, difference, scale, look.color, look.marker, filled=confirmed)


def _separate(axis: Axes, groups: Sequence[str]) -> None:
    """A thin line between groups."""
    for y in range(1, len(groups)):
        if groups[y] != groups[y - 1]:
            axis.axhline(y - 0.5, color="#cccccc", lw=0.6, ls=(0, (2, 3)))


def _lines(report: Report, study: Study, scores: Sequence[Score]) -> Figure:
    figure = blank(3.0 * len(scores) + 0.4, 3.2)
    for axis, score in zip(_panels(figure, 1, len(scores)), scores, strict=True):
        _line(axis, report, study, score)
    how = "Dots: means, band: 95 % CI over patients of these trained models; small dots: runs."
    return _titled(figure, report, study, how)


def _line(axis: Axes, report: Report, study: Study, score: Score) -> None:
    (setting,), rows = study.varied, report.board.rows
    values = [study.cells[row.label][setting] for row in rows]
    scale, places = scale_of(score), _places(values)
    measured = numbers(report, score)
    # Argsort: values of a setting may come in any order.
    order = [i for i in np.argsort(places).tolist() if rows[i].label in measured]
    mean, low, high = (
        scale * np.array([getattr(measured[rows[i].label], end) for i in order])
        for end in ("value", "low", "high")
    )
    axis.fill_between(places[order], low, high, color=BLUE, alpha=0.15, lw=0)
    axis.plot(places[order], mean, "-o", color=BLUE, ms=5, lw=1.4)
    for place, row in zip(places, rows, strict=True):
        runs = [scale * value for value in row.values(score).values()]
        axis.scatter([place] * len(runs), runs, s=7, color=BLUE, alpha=0.3)
        if row.label == study.reference and row.label in measured:
            axis.plot(place, scale * measured[row.label].value, "o", color=ORANGE, ms=7)
        if not row.complete:
            axis.annotate(f"{row.coverage} runs", (place, 0.02), xycoords=("data", "axes fraction"),
                          ha="center", fontsize=TINY, color=GREY)  # fmt: skip
    axis.set_xticks(places, [short(value) for value in values], fontsize=SMALL)
    axis.set_xlabel(short(setting), fontsize=TEXT)
    axis.set_title(axis_words(score), loc="left", fontsize=TEXT)
    quiet(axis)


def _heat_maps(report: Report, study: Study, scores: Sequence[Score]) -> Figure:
    """Rows of panels are scores, columns the values of the third setting."""
    first, second, *third = study.varied
    values = {
        setting: list(dict.fromkeys(study.cells[row.label][setting] for row in report.board.rows))
        for setting in study.varied
    }
    layers = values[third[0]] if third else [""]
    width, height = 0.95 * len(values[second]) + 1.3, 0.5 * len(values[first]) + 1.0
    across, down = (len(layers), len(scores)) if third else (len(scores), 1)
    figure = blank(width * across + 0.3, height * down + 0.8)
    panels = [(score, layer) for score in scores for layer in layers]
    for axis, (score, layer) in zip(_panels(figure, down, across), panels, strict=True):
        rows = [
            r for r in report.board.rows if not third or study.cells[r.label][third[0]] == layer
        ]
        places = {
            (values[first].index(cells[first]), values[second].index(cells[second])): row
            for row in rows
            for cells in [study.cells[row.label]]
        }
        _heat_map(axis, places, numbers(report, score), scale_of(score), study.reference)
        axis.set_xticklabels([*map(short, values[second])])
        axis.set_yticklabels([*map(short, values[first])])
        axis.set_xlabel(short(second), fontsize=TEXT)
        axis.set_ylabel(short(first), fontsize=TEXT)
        axis.tick_params(labelsize=SMALL, length=0, labelrotation=0)
        above = f"{short(third[0])}={short(layer)}   " if third else ""
        axis.set_title(above + axis_words(score), loc="left", fontsize=TEXT)
    how = "Means with 95 % CI over patients of these trained models. Frame: default."
    return _titled(figure, report, study, how)


def _heat_map(
    axis: Axes,
    places: Mapping[tuple[int, int], BoardRow],
    measured: Mapping[str, Number],
    scale: float,
    reference: str,
) -> None:
    shape = tuple(1 + max(place[i] for place in places) for i in (0, 1))
    means, words = np.full(shape, np.nan), np.full(shape, "", dtype=object)
    for place, row in places.items():
        number = measured.get(row.label)  # a missing row has no score
        if number is None:
            words[place] = f"{row.coverage}\nruns"
            continue
        means[place] = scale * number.value
        words[place] = number_words(number, scale).replace(" [", "\n[")
    # Frames of colours: from the data, because scores differ by few points.
    low, high = _limits(means)
    sns.heatmap(
        means, ax=axis, annot=words, fmt="", cmap=SEQUENTIAL, vmin=low, vmax=high, cbar=False,
        linewidths=0.6, linecolor="white", annot_kws={"fontsize": TINY},
    )  # fmt: skip
    for (y, x), row in places.items():
        if np.isnan(means[y, x]):
            axis.text(x + 0.5, y + 0.5, words[y, x], ha="center", va="center", fontsize=TINY,
                      color=GREY)  # fmt: skip
        if row.label == reference:
            axis.add_patch(Rectangle((x, y), 1, 1, fill=False, ec=ORANGE, lw=2.2, clip_on=False))


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Colour limits; a little room below, so that the lowest cell keeps a tint."""
    defined = values[~np.isnan(values)]
    if not defined.size:
        return 0.0, 1.0
    low, high = float(defined.min()), float(defined.max())
    room = 0.25 * (high - low) or 1.0  # all equal: any room
    return low - room, high + room


def _places(values: Sequence[str]) -> NDArray[np.float64]:
    """Positions of values: on a log scale where all are positive numbers, else one by one."""
    try:
        positions = np.array([float(value) for value in values])
    except ValueError:
        return np.arange(len(values), dtype=np.float64)
    return np.log(positions) if (positions > 0).all() else positions


def _panels(figure: Figure, rows: int, columns: int) -> list[Axes]:
    return [axis for line in figure.subplots(rows, columns, squeeze=False) for axis in line]


def _titled(figure: Figure, report: Report, study: Study, how: str) -> Figure:
    default = f" Default: {study.reference}." if study.reference else ""
    return titled(figure, report.board.title, f"{sample(report.board)} {how}{default}")
