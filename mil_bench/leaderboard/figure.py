"""A picture of a board: methods with their spread at every level, and their classes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.evaluation.metrics_table import PRIMARY
from mil_bench.leaderboard.board import Board, BoardRow
from mil_bench.leaderboard.formats.folder import board_folders
from mil_bench.leaderboard.formats.markdown import FIGURE
from mil_bench.leaderboard.spread import Spread
from mil_bench.taxonomy import LEAF, Taxonomy

# Okabe and Ito's colours stay apart for colour-blind readers.
GREY, BLUE, ORANGE = "#6e6e6e", "#0072B2", "#D55E00"
_SOURCES = {"summed": BLUE, "direct": ORANGE}
LABEL: dict[str, Any] = {"fontsize": 9, "color": "#222222"}


def write_figures(boards: Sequence[Board], out: Path) -> list[Path]:
    """Draw ``overview.png`` into the folder of every board that has results; the paths."""
    written = []
    for board, folder in zip(boards, board_folders(boards, out), strict=True):
        if board.scores:
            folder.mkdir(parents=True, exist_ok=True)
            written.append(folder / FIGURE)
            board_figure(board).savefig(
                written[-1], dpi=160, bbox_inches="tight", metadata={"Software": None}
            )
    return written


def board_figure(board: Board) -> Figure:
    """Dots of balanced accuracy at leaf and coarse level side by side, and AUC of every class.

    A large dot is the mean, its bar the sd over folds, small dots the single runs. Rows without
    any result are left out of the picture; the tables name them.
    """
    tree = board.taxonomy
    rows = [row for row in board.rows if row.done]
    if tree is None or not rows:
        raise ValueError("a figure needs a board with results")
    levels = [LEAF, *tree.levels[:1]] if tree.depth > 1 else [LEAF]
    widths = [*[2.6] * len(levels), 0.45 * len(tree.leaves) + 0.6]
    figure = Figure(figsize=(sum(widths) + 2.2, 0.42 * len(rows) + 1.9), layout="constrained")
    axes = figure.subplots(1, len(widths), sharey=False, width_ratios=widths)
    for axis, level in zip(axes, levels, strict=False):
        _dots(axis, rows, tree, level)
    _name_rows(axes[0], rows)
    for axis in axes[1:]:
        axis.set_yticks([])
    _heat_map(axes[-1], rows, tree)
    figure.suptitle(_title(board), x=0.01, ha="left", fontsize=11, fontweight="bold")
    figure.supxlabel(_footnote(board, rows), x=0.01, ha="left", fontsize=7.5, color=GREY)
    return figure


def _dots(axis: Axes, rows: Sequence[BoardRow], tree: Taxonomy, level: str) -> None:
    for y, row in enumerate(rows):
        sources = [s for s in _SOURCES if s == "summed" or _values(row, level, s)]
        for source, shift in zip(sources, (-0.15, 0.15) if sources[1:] else (0.0,), strict=True):
            colour, values = _SOURCES[source], _values(row, level, source)
            spread = Spread.of(values)
            jitter = y + shift + np.linspace(-0.07, 0.07, len(values))
            axis.scatter(
                100 * np.array(list(values.values())), jitter, s=7, color=colour, alpha=0.3, lw=0
            )
            bar = 0.0 if np.isnan(spread.sd_folds) else 100 * spread.sd_folds
            axis.errorbar(
                100 * spread.mean, y + shift, xerr=bar, fmt="o", ms=5.5, lw=1.4, color=colour
            )
    _chance(axis, len(tree.classes[level]))
    axis.set_ylim(len(rows) - 0.5, -0.5)
    axis.set_xlabel("balanced accuracy (%)", **LABEL)
    axis.set_title(f"{level} ({len(tree.classes[level])} classes)", loc="left", pad=20, **LABEL)
    axis.grid(axis="x", color="#e6e6e6", lw=0.8)
    axis.set_axisbelow(True)
    axis.tick_params(labelsize=8, length=0)
    if any(_values(row, level, "direct") for row in rows):
        for x, source in zip((0.0, 0.45), _SOURCES, strict=True):
            words = {"summed": "● leaves summed", "direct": "● own head"}[source]
            axis.text(
                x, 1.02, words, color=_SOURCES[source], fontsize=7.5, va="bottom",
                transform=axis.transAxes,
            )  # fmt: skip
    sns.despine(ax=axis, left=True)


def _values(row: BoardRow, level: str, source: str) -> dict[tuple[int, int], float]:
    if level == LEAF:
        return row.values(lambda s: s.overall.get(PRIMARY)) if source == "summed" else {}
    return row.values(lambda s: s.hierarchical.get(_name(level, source)))


def _name(level: str, source: str) -> str:
    return f"{level}_{source}_{PRIMARY}"


def _chance(axis: Axes, classes: int) -> None:
    axis.axvline(100 / classes, color=GREY, lw=1, ls=(0, (3, 3)))
    axis.annotate(
        "chance", (100 / classes, 0), xycoords=("data", "axes fraction"), xytext=(2, 2),
        textcoords="offset points", fontsize=7, color=GREY,
    )  # fmt: skip


def _name_rows(axis: Axes, rows: Sequence[BoardRow]) -> None:
    names = [row.label if row.complete else f"{row.label} ({row.coverage})" for row in rows]
    axis.set_yticks(range(len(rows)), [name.replace("$", r"\$") for name in names], fontsize=9)


def _heat_map(axis: Axes, rows: Sequence[BoardRow], tree: Taxonomy) -> None:
    auc = [[row.of_class(LEAF, "direct", c, "auc").mean for c in tree.leaves] for row in rows]
    sns.heatmap(
        100 * np.array(auc), ax=axis, annot=True, fmt=".0f", cmap="Blues", vmin=50, vmax=100,
        cbar=False, linewidths=0.6, linecolor="white", annot_kws={"fontsize": 8},
        xticklabels=[leaf.replace("$", r"\$") for leaf in tree.leaves], yticklabels=False,
    )  # fmt: skip
    axis.set_title("AUC of each class (%)", loc="left", pad=20, **LABEL)
    axis.tick_params(labelsize=8, length=0, labelrotation=0)
    if tree.depth > 1:
        _coarse_names(axis, tree)


def _coarse_names(axis: Axes, tree: Taxonomy) -> None:
    """Bracket neighbouring leaves of one coarse class, with its name above."""
    coarse = tree.ancestor_index(tree.levels[0])
    starts = [0, *(np.flatnonzero(np.diff(coarse)) + 1).tolist(), len(coarse)]
    for start, end in itertools.pairwise(starts):
        name = tree.classes[tree.levels[0]][coarse[start]]
        axis.plot(
            [start + 0.1, end - 0.1], [-0.08, -0.08], color=GREY, lw=1.2, clip_on=False,
            solid_capstyle="butt",
        )  # fmt: skip
        axis.annotate(
            name.replace("$", r"\$"), ((start + end) / 2, -0.08), xytext=(0, 3),
            textcoords="offset points", ha="center", va="bottom", fontsize=8, annotation_clip=False,
        )  # fmt: skip


def _title(board: Board) -> str:
    leak = "   LEAKY SPLIT" if board.leaky else ""
    return board.title.replace("$", r"\$") + leak


def _footnote(board: Board, rows: Sequence[BoardRow]) -> str:
    seeds, folds = ({cell[i] for row in rows for cell in row.done} for i in (0, 1))
    grid = f"{_count(folds, 'fold')} x {_count(seeds, 'seed')}"
    return (
        f"{board.slides} test slides of {board.groups} patients or groups; {grid}. "
        "Dot: mean, bar: sd over folds, small dots: runs. The order claims no significance."
    )


def _count(items: set[int], word: str) -> str:
    return f"{len(items)} {word}{'s' if len(items) != 1 else ''}"
