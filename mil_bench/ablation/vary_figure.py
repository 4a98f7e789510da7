"""Pictures of a sensitivity grid: a line for one field, heat maps for two or three."""

from __future__ import annotations

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from mil_bench.ablation.text import mean_text
from mil_bench.ablation.vary import Axis, Values, Varied
from mil_bench.evaluation.metrics import Score
from mil_bench.pictures.style import (
    BLUE,
    GREY,
    ORANGE,
    SEQUENTIAL,
    SMALL,
    TEXT,
    TINY,
    blank,
    quiet,
    titled,
)
from mil_bench.pictures.words import short


def vary_figure(varied: Varied) -> Figure:
    """A panel per score (and per value of a third field); the default is marked in orange."""
    return _lines(varied) if len(varied.axes) == 1 else _heat_maps(varied)


def _lines(varied: Varied) -> Figure:
    metrics = varied.shown
    figure = blank(3.0 * len(metrics) + 0.4, 3.2)
    for axis, metric in zip(_panels(figure, 1, len(metrics)), metrics, strict=True):
        _line(axis, varied, metric)
    return _titled(figure, varied, "Dot: mean, band: sd over folds, small dots: runs.")


def _line(axis: Axes, varied: Varied, metric: Score) -> None:
    (field,) = varied.axes
    scale = 100 if metric.facts.percent else 1
    places = _places(field)
    spreads = [varied.estimate((value,), metric).spread for value in field.values]
    means = scale * np.array([spread.mean for spread in spreads])
    sds = scale * np.nan_to_num([spread.sd_folds for spread in spreads])
    order = np.argsort(places)
    axis.fill_between(
        places[order], (means - sds)[order], (means + sds)[order], color=BLUE, alpha=0.15, lw=0
    )
    axis.plot(places[order], means[order], "-o", color=BLUE, ms=5, lw=1.4)
    for place, value, mean in zip(places, field.values, means, strict=True):
        row = varied.cells[(value,)]
        own = row.values(metric)
        axis.scatter(
            [place] * len(own), scale * np.array([*own.values()]), s=7, color=BLUE, alpha=0.3
        )
        if (value,) == varied.default:
            axis.plot(place, mean, "o", color=ORANGE, ms=7)
        if not row.complete:
            axis.annotate(f"{row.coverage} runs", (place, 0.02), xycoords=("data", "axes fraction"),
                          ha="center", fontsize=TINY, color=GREY)  # fmt: skip
    axis.set_xticks(places, [short(value) for value in field.values], fontsize=SMALL)
    axis.set_xlabel(short(field.key), fontsize=TEXT)
    axis.set_title(_title(metric), loc="left", fontsize=TEXT)
    quiet(axis)


def _heat_maps(varied: Varied) -> Figure:
    """Rows of panels are scores, columns the values of the third field."""
    first, second, *third = varied.axes
    layers: list[Values] = [(value,) for value in third[0].values] if third else [()]
    metrics = varied.shown
    width = 0.95 * len(second.values) + 1.3
    height = 0.5 * len(first.values) + 1.0
    across, down = (len(layers), len(metrics)) if third else (len(metrics), 1)
    figure = blank(width * across + 0.3, height * down + 0.8)
    panels = _panels(figure, down, across)
    wanted = [(metric, layer) for metric in metrics for layer in layers]
    for axis, (metric, layer) in zip(panels, wanted, strict=True):
        _heat_map(axis, varied, metric, layer)
        above = f"{short(third[0].key)}={short(layer[0])}   " if third else ""
        axis.set_title(above + _title(metric), loc="left", fontsize=TEXT)
    return _titled(figure, varied, "Mean over folds and seeds ± sd over folds; frame: default.")


def _heat_map(axis: Axes, varied: Varied, metric: Score, layer: Values) -> None:
    first, second = varied.axes[:2]
    grid = [[(a, b, *layer) for b in second.values] for a in first.values]
    scale = 100 if metric.facts.percent else 1
    means = scale * np.array(
        [[varied.estimate(v, metric).spread.mean for v in line] for line in grid]
    )
    every = scale * np.array([varied.estimate(v, metric).spread.mean for v in varied.cells])
    words = np.array([[_cell(varied, v, metric) for v in line] for line in grid])
    low, high = _limits(every)
    sns.heatmap(
        means, ax=axis, annot=words, fmt="", cmap=SEQUENTIAL if metric.facts.better >= 0 else
        f"{SEQUENTIAL}_r", vmin=low, vmax=high, cbar=False, linewidths=0.6, linecolor="white",
        annot_kws={"fontsize": SMALL}, xticklabels=[*map(short, second.values)],
        yticklabels=[*map(short, first.values)],
    )  # fmt: skip
    for y, line in enumerate(grid):
        for x, values in enumerate(line):
            if np.isnan(means[y, x]):
                axis.text(x + 0.5, y + 0.5, words[y, x], ha="center", va="center", fontsize=TINY,
                          color=GREY)  # fmt: skip
            if values == varied.default:
                axis.add_patch(
                    Rectangle((x, y), 1, 1, fill=False, ec=ORANGE, lw=2.2, clip_on=False)
                )
    axis.set_xlabel(short(second.key), fontsize=TEXT)
    axis.set_ylabel(short(first.key), fontsize=TEXT)
    axis.tick_params(labelsize=SMALL, length=0, labelrotation=0)


def _cell(varied: Varied, values: Values, metric: Score) -> str:
    spread, row = varied.estimate(values, metric).spread, varied.cells[values]
    return (
        mean_text(spread, row, metric).replace(" ", "\n") if spread.n else f"{row.coverage}\nruns"
    )


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Colour limits; a little room below, so that the lowest cell keeps a tint."""
    known = values[~np.isnan(values)]
    if not known.size:
        return 0.0, 1.0
    low, high = float(known.min()), float(known.max())
    room = 0.25 * (high - low) or 1.0
    return low - room, high + room


def _places(axis: Axis) -> NDArray[np.float64]:
    """Positions of values: on a log scale where all are positive numbers, else one by one."""
    try:
        numbers = np.array([float(value) for value in axis.values])
    except ValueError:
        return np.arange(len(axis.values), dtype=np.float64)
    return np.log(numbers) if (numbers > 0).all() else numbers


def _panels(figure: Figure, rows: int, columns: int) -> list[Axes]:
    return [axis for line in figure.subplots(rows, columns, squeeze=False) for axis in line]


def _titled(figure: Figure, varied: Varied, how: str) -> Figure:
    spec = varied.example
    title = f"{spec.method} on {spec.dataset} ({spec.kind}), split {spec.split}"
    return titled(figure, title, f"{how} Default: {varied.default_words}.")


def _title(metric: Score) -> str:
    return metric.facts.title + (" (%)" if metric.facts.percent else "")
