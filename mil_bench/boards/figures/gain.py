"""Coarse gain: the difference of a level's own head to every control without it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.boards.controls import Control, LevelRule
from mil_bench.boards.figures.panels import bars_note, beside, dot, heading, number_words, sample
from mil_bench.boards.report import Report
from mil_bench.boards.tables.table import Cell, Number, Row
from mil_bench.evaluation.inference.ranks import ALPHA
from mil_bench.pictures.style import (
    BLUE,
    GREY,
    INK,
    LABEL,
    ORANGE,
    SMALL,
    blank,
    quiet,
    short,
    titled,
)

MOST = 4
"""Heads that one figure has room for."""
_Head = tuple[Cell, Cell]
_OWN, _SHUFFLED = (
    {str(Control(kind, rule)) for rule in get_args(LevelRule)}
    for kind in ("own leaves", "shuffled tree")
)


def draw(report: Report) -> Figure | None:
    """Draw a block per head (method and level), a line per control, a panel per score."""
    table = report.table("controls")
    if table is None:
        return None
    metrics = list(dict.fromkeys(row.score for row in table.rows if row.score))
    every = list(dict.fromkeys(_head(row) for row in table.rows))
    heads = every[:MOST]
    blocks = {head: [row for row in table.rows if _head(row) == head] for head in heads}
    lines = {head: _lines(rows) for head, rows in blocks.items()}
    # Inches per line, and room for a title.
    heights = [0.24 * len(lines[head]) + 0.8 for head in heads]
    figure = blank(4.1 * len(metrics) + 2.6, sum(heights) + 0.9)
    axes = figure.subplots(
        len(heads), len(metrics), squeeze=False, height_ratios=heights, sharex="col"
    )
    for across, head in zip(axes, heads, strict=True):
        for axis, score in zip(across, metrics, strict=True):
            own = {_control(row): row for row in blocks[head] if row.score == score}
            _panel(axis, [own.get(control) for control in lines[head]])
            title = f"{short(str(head[0]), 24)}, {head[1]} head: {score.facts.title} (points)"
            axis.set_title(title, loc="left", **LABEL)
            axis.tick_params(labelbottom=True)
        names = [short(f"{kind}: {other}" if other else kind, 46) for kind, other in lines[head]]
        across[0].set_yticks(range(len(names)), names, fontsize=SMALL)
        for axis in across[1:]:
            axis.set_yticks([])
    left = f" The first {MOST} of {len(every)} heads." if len(every) > MOST else ""
    note = (
        f"{sample(report.board)}{left} Zero is the control; right of it the head is better. "
        f"{bars_note(report)} Filled: significant (Holm over controls). {table.note}."
    )
    return titled(figure, heading(report, "Coarse gain"), note)


def _lines(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """The controls of a head, those of a kind together, also where scores have different ones."""
    controls = list(dict.fromkeys(map(_control, rows)))
    kinds = list(dict.fromkeys(kind for kind, _ in controls))
    # Stable: order within a kind is kept.
    return sorted(controls, key=lambda control: kinds.index(control[0]))


def _panel(axis: Axes, rows: Sequence[Row | None]) -> None:
    axis.axvline(0, color=INK, lw=1, zorder=1)
    words = {}
    for y, row in enumerate(rows):
        if row is None or not isinstance(gain := row["difference"], Number):
            continue
        p = row["p_holm"]
        separable = isinstance(p, Number) and p.value <= ALPHA
        own, shuffled = (str(row["control"]) in names for names in (_OWN, _SHUFFLED))
        color = ORANGE if own else GREY if shuffled else BLUE
        dot(axis, y, gain, 100, color, "s" if own else "o", filled=separable)
        words[y] = number_words(gain, 100)
    beside(axis, words)
    axis.set_ylim(len(rows) - 0.5, -0.5)
    quiet(axis, "x", left=True)


def _head(row: Row) -> _Head:
    return row["method"], row["level"]


def _control(row: Row) -> tuple[str, str]:
    """Kind of the control and whose it is, unless it is the method's own."""
    kind, other = str(row["control"]), str(row["other"])
    return kind, "" if other == row["method"] else other
