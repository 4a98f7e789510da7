"""Scores with their intervals, and every run behind them: forest plot, and spread over folds."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.boards.board import RANKED, BoardRow
from mil_bench.boards.figures.panels import (
    axis_words,
    bars_note,
    beside,
    dots,
    heading,
    marks_note,
    name_rows,
    number_words,
    numbers,
    rows_of,
    sample,
    scale_of,
)
from mil_bench.boards.report import Report
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.pictures.style import (
    BLUE,
    GREY,
    INK,
    LABEL,
    ORANGE,
    SHADE,
    blank,
    headed,
    quiet,
    titled,
)

_METRICS = (PRIMARY, "macro_auc", "macro_f1", "worst_sensitivity", "brier", "qwk", "accuracy")
SCORES = tuple(map(Score, _METRICS))
_PANELS, _ACROSS = 6, 3


def draw_forest(report: Report) -> Figure | None:
    """Draw up to six scores of the leaf level; rows in order of the board."""
    rows = rows_of(report)
    values = {score: numbers(report, score) for score in SCORES}
    shown = [score for score in SCORES if values[score]][:_PANELS]
    if not shown:
        return None
    lines = -(-len(shown) // _ACROSS)  # -(-a // b): rounded up
    figure = blank(11.5, lines * (0.27 * len(rows) + 0.75) + 0.9)
    axes = figure.subplots(lines, _ACROSS, squeeze=False).flatten()
    for i, (axis, score) in enumerate(zip(axes, shown, strict=False)):
        scale = scale_of(score)
        dots(axis, report, values[score], scale)
        name_rows(axis, rows, shown=i % _ACROSS == 0)
        headed(axis, axis_words(score))
        quiet(axis, left=True)
        words = {y: number_words(values[score][row.label], scale)
                 for y, row in enumerate(rows) if row.label in values[score]}  # fmt: skip
        beside(axis, words)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    note = f"{sample(report.board)} {bars_note(report)} {marks_note(report)}"
    return titled(figure, heading(report, "Scores with 95 % CI"), note)


_TALLEST = 0.8


def draw_spread(report: Report) -> Figure | None:
    """Draw a line per fold, a dot per seed, a tick per fold mean, a diamond at the overall mean."""
    rows = rows_of(report)
    if not rows:
        return None
    folds = sorted({fold for row in rows for _, fold in row.done})
    figure = blank(7, len(rows) * (0.16 + 0.085 * min(len(folds), 10)) + 1.3)
    axis = figure.subplots()
    words = {}
    for y, row in enumerate(rows):
        _spread(axis, y, row, folds)
        spread = row.spread(RANKED)
        sds = [f"{n} {100 * sd:.1f}" for n, sd in (("folds", spread.sd_folds),
               ("seeds", spread.sd_seeds)) if sd == sd]  # fmt: skip
        words[y] = "sd over " + ", ".join(sds) if sds else "one run"
        if y % 2:
            axis.axhspan(y - 0.5, y + 0.5, color=SHADE, lw=0, zorder=0)
    name_rows(axis, rows)
    beside(axis, words)
    axis.set_xlabel("balanced accuracy (%)", **LABEL)
    quiet(axis, "x", left=True)
    note = (
        f"{sample(report.board)} Lines: folds, 0 at the top; dots: seeds; ticks: means of "
        "folds; diamond: overall mean."
    )
    return titled(figure, heading(report, "Spread over folds and seeds"), note)


def _spread(axis: Axes, y: float, row: BoardRow, folds: list[int]) -> None:
    values = row.values(RANKED)
    step = _TALLEST / max(len(folds), 2)
    for i, fold in enumerate(folds):
        own = [100 * v for (_, f), v in values.items() if f == fold and v == v]
        if not own:
            continue
        place = y + (i - (len(folds) - 1) / 2) * step  # lines of folds are centred at the row
        mean = sum(own) / len(own)
        axis.plot([min(own), max(own)], [place, place], color=GREY, lw=0.7)
        axis.plot(own, [place] * len(own), "o", color=BLUE, ms=2.6, mew=0)
        axis.plot([mean], [place], "|", color=INK, ms=5, mew=1.1)
    axis.plot([100 * row.spread(RANKED).mean], [y], "D", color=ORANGE, ms=5, mec="white",
              mew=0.8, zorder=4)  # fmt: skip
