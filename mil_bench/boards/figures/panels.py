"""Parts that several figures share: numbers, captions, dots with intervals, class brackets."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.base.errors import counted
from mil_bench.base.taxonomy import Taxonomy
from mil_bench.boards.board import Board, BoardRow
from mil_bench.boards.report import Report
from mil_bench.boards.tables.measure import measured
from mil_bench.boards.tables.table import Number
from mil_bench.evaluation.metrics import Score
from mil_bench.pictures.style import BLUE, GREY, INK, LONGEST, SMALL, TEXT, TINY, Look, names, short


def rows_of(report: Report) -> list[BoardRow]:
    """List the rows that have results, in order of the board; tables name the others."""
    return [row for row in report.board.rows if row.done]


def numbers(report: Report, score: Score) -> dict[str, Number]:
    """Map labels to the numbers of the tables, for the rows with a defined score."""
    cells = measured(report.analysis, score)
    return {
        label: cell
        for label, cell in cells.items()
        if isinstance(cell, Number) and cell.value == cell.value  # equal to itself: not nan
    }


def scale_of(score: Score) -> float:
    """Return the factor of screens and figures: 100 for fractions."""
    return 100.0 if score.facts.percent else 1.0


# Captions: titles, axes, sample sizes.


def heading(report: Report, what: str) -> str:
    """Return the title of a figure: what it shows, of which board, and whether the split leaks."""
    leak = " - LEAKY SPLIT" if report.board.leaky else ""
    return f"{what}: {report.board.title}{leak}"


def bars_note(report: Report, mark: str = "Bars") -> str:
    """State what bars (or ``mark``) show, or why there are none."""
    if report.analysis.refusal:
        return f"No intervals: {report.analysis.refusal}"
    return f"{mark}: 95 % CI (bootstrap over patients, these trained models)."


def row_names(rows: Sequence[BoardRow], longest: int = LONGEST) -> dict[str, str]:
    """Map labels to names to draw; incomplete rows have their number of runs."""
    shown = names([row.label for row in rows], longest)
    return {
        row.label: shown[row.label] + ("" if row.complete else f" ({row.coverage} runs)")
        for row in rows
    }


def axis_words(score: Score) -> str:
    """Return title, unit and direction of a score: ``Bal. acc (%) ↑``."""
    f = score.facts
    unit = {"fraction": " (%)", "levels": " (levels)", "nats": " (nats)", "grades": " (grades)"}
    return f.title + unit.get(f.unit, "") + {1: " ↑", -1: " ↓", 0: ""}[f.better]


def number_words(number: Number, scale: float) -> str:
    """Return ``64.2 [58.9, 69.4]``."""
    digits = 1 if scale == 100 else 2
    value, low, high = (
        f"{scale * part:z.{digits}f}" for part in (number.value, number.low, number.high)
    )
    return value if number.low != number.low else f"{value} [{low}, {high}]"


def sample(board: Board) -> str:
    """Return ``350 test slides of 121 patients or groups; 5 folds x 3 seeds.``."""
    cells = {cell for row in board.rows for cell in row.done}
    seeds, folds = ({cell[i] for cell in cells} for i in (0, 1))
    return (
        f"{board.slides} test slides of {board.groups} patients or groups; "
        f"{counted(len(folds), 'fold')} x {counted(len(seeds), 'seed')}."
    )


def marks_note(report: Report) -> str:
    """Explain filled and hollow marks."""
    if len(report.analysis.paired) < 2:
        return ""
    unpaired = "; diamond: cannot be compared, see the tables" if report.analysis.unpaired else ""
    return (
        "Filled: best, or not significantly different from it (paired over patients, Holm); "
        f"hollow: significantly worse{unpaired}."
    )


# Dots with intervals, names of rows, brackets of classes.


def dot(
    axis: Axes,
    y: float,
    number: Number,
    scale: float,
    color: str = BLUE,
    marker: str = "o",
    filled: bool = True,
) -> None:
    """Draw a value with its interval."""
    if number.low == number.low:
        ends = [scale * number.low, scale * number.high]
        axis.plot(ends, [y, y], "-", color=color, lw=1.6, solid_capstyle="butt")
    face = color if filled else "white"
    axis.plot([scale * number.value], [y], marker, color=color, mfc=face, ms=5.5, mew=1.3, zorder=3)


def dots(axis: Axes, report: Report, values: Mapping[str, Number], scale: float) -> None:
    """Draw a line per row; the best row and those tied with it are filled."""
    for y, row in enumerate(rows_of(report)):
        if number := values.get(row.label):
            shape = "D" if row.label in report.analysis.unpaired else "o"
            dot(axis, y, number, scale, marker=shape, filled=is_filled(number, values))
        else:
            missing(axis, y)


def is_filled(number: Number, all_rows: Mapping[str, Number]) -> bool:
    """Return whether a row is the best or tied with it; all rows are where nothing is compared."""
    return bool(number.mark) or not any(other.mark for other in all_rows.values())


def cross(
    axis: Axes, x: Number, y: Number, scales: tuple[float, float], look: Look, name: str
) -> None:
    """Draw a method in the plane, with its interval in each direction."""
    at = (scales[0] * x.value, scales[1] * y.value)
    if x.low == x.low:
        axis.plot([scales[0] * x.low, scales[0] * x.high], [at[1], at[1]], color=look.color, lw=1.1)
    if y.low == y.low:
        axis.plot([at[0], at[0]], [scales[1] * y.low, scales[1] * y.high], color=look.color, lw=1.1)
    axis.plot(
        [at[0]], [at[1]], look.marker, color=look.color, ms=6.5, mec="white", mew=0.5, ls="",
        label=name, zorder=3,
    )  # fmt: skip


def key(figure: Figure, axis: Axes) -> None:
    """Draw the legend right of the panels; the figure grows so that it is clear of the note."""
    handles, words = axis.get_legend_handles_labels()
    width = 0.55 + 0.075 * max(map(len, words))
    figure.set_figwidth(figure.get_figwidth() + width)
    figure.set_figheight(max(figure.get_figheight(), 0.19 * len(words) + 1.3))
    figure.legend(handles, words, loc="outside right center", fontsize=SMALL, frameon=False)


def beside(axis: Axes, words: Mapping[int, str]) -> None:
    """Write words right of a panel, by row."""
    for y, word in words.items():
        axis.annotate(
            word, (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=TINY,
            color=GREY, annotation_clip=False,
        )  # fmt: skip


def missing(axis: Axes, y: float) -> None:
    """Write a word in place of a number that a row does not have."""
    axis.annotate(
        "not defined", (0.02, y), xycoords=("axes fraction", "data"), va="center",
        fontsize=TINY, color=GREY,
    )  # fmt: skip


def name_rows(axis: Axes, rows: Sequence[BoardRow], shown: bool = True) -> None:
    """Set one line per row from the top; names only if ``shown``."""
    axis.set_ylim(len(rows) - 0.5, -0.5)
    words = list(row_names(rows).values()) if shown else [""] * len(rows)
    axis.set_yticks(range(len(rows)), words, fontsize=TEXT, color=INK)


def chance(axis: Axes, value: float) -> None:
    """Draw a dashed line at the value of random predictions."""
    axis.axvline(value, color=GREY, lw=1, ls=(0, (3, 3)), zorder=1)
    axis.annotate(
        "chance", (value, 0), xycoords=("data", "axes fraction"), xytext=(2, 2),
        textcoords="offset points", fontsize=TINY, color=GREY,
    )  # fmt: skip


def runs_of(tree: Taxonomy, level: str) -> list[tuple[int, int, str]]:
    """List neighbouring leaves of one class of ``level``: first, one past the last, name."""
    index = tree.ancestor_index(level)
    cuts = [0, *(np.flatnonzero(np.diff(index)) + 1).tolist(), len(index)]
    return [(a, b, tree.classes[level][index[a]]) for a, b in itertools.pairwise(cuts)]


def brackets(axis: Axes, tree: Taxonomy, y: float = -0.08, per_leaf: int = 9) -> None:
    """Draw coarse classes above the columns of their leaves; ``y`` in rows of the axis."""
    for first, end, name in runs_of(tree, tree.levels[0]) if tree.depth > 1 else ():
        axis.plot(
            [first + 0.1, end - 0.1], [y, y], color=GREY, lw=1.2, clip_on=False,
            solid_capstyle="butt",
        )  # fmt: skip
        axis.annotate(
            short(name, per_leaf * (end - first)), ((first + end) / 2, y), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", fontsize=SMALL,
            annotation_clip=False,
        )  # fmt: skip


def leaf_names(tree: Taxonomy, longest: int = 14) -> list[str]:
    """Return short names of the leaves."""
    return [short(name, longest) for name in tree.leaves]
