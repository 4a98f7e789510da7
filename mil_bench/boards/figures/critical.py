"""Critical-difference diagram: mean ranks over at least six datasets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mil_bench.base.errors import DataError
from mil_bench.boards.figures.panels import numbers
from mil_bench.boards.report import Report
from mil_bench.evaluation.inference.over_datasets import FEWEST, DatasetScores
from mil_bench.evaluation.inference.ranks import ALPHA
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.evaluation.sums import mean_defined
from mil_bench.pictures.style import BLACK, BLUE, GREY, SMALL, TINY, blank, names, titled


def draw(reports: Sequence[Report]) -> Figure:
    """Draw mean ranks of the methods that all datasets share, with bars over equivalent ones.

    Boards of one dataset (encoders, splits) are not separate blocks: their values are averaged.
    Raises ``DataError`` with the reason where a test over datasets means nothing.
    """
    blocks = blocks_of(reports)
    count = len(blocks.methods)
    figure = blank(7, 0.17 * count + 1.9)
    axis = figure.subplots()
    _ranks(axis, blocks)
    note = (
        f"{len(blocks.scores)} datasets, balanced accuracy of leaves. Bars join methods within one "
        f"critical difference of Nemenyi's test (95 %, {blocks.critical_difference():.2f} ranks)."
    )
    return titled(figure, "Mean ranks over datasets", f"{note} {_tests(blocks)}")


def _tests(scores: DatasetScores) -> str:
    """Whether methods differ at all, and how many pairs do."""
    # The upper triangle: each pair once.
    p = scores.wilcoxon()[np.triu_indices(len(scores.methods), 1)]
    pairs = (
        f"Wilcoxon's signed ranks, Holm-corrected: {int((p <= ALPHA).sum())} of {len(p)} pairs "
        "differ significantly."
    )
    if len(scores.methods) < 3:
        return pairs
    f, overall = scores.friedman()
    return f"Iman-Davenport F = {f:.1f}, p = {overall:.2g}. {pairs}"


def blocks_of(reports: Sequence[Report]) -> DatasetScores:
    """Return complete rows that all datasets share, by label. One kind of data only."""
    kinds = {report.board.id.kind for report in reports}
    if len(kinds) > 1:
        raise DataError(
            f"datasets are of the kinds {sorted(kinds)}, which share no diagram; draw one kind."
        )
    by_dataset: dict[str, list[dict[str, float]]] = {}
    for report in reports:
        if report.board.id.trained_on:  # the same models as on their own dataset
            continue
        complete = {row.label for row in report.board.rows if row.complete}
        every = numbers(report, Score(PRIMARY))
        values = {label: n.value for label, n in every.items() if label in complete}
        by_dataset.setdefault(report.board.id.dataset, []).append(values)
    if len(by_dataset) < FEWEST:
        # the sentence of DatasetScores, whichever methods they share
        return DatasetScores((), np.empty((len(by_dataset), 0)))
    boards = [values for own in by_dataset.values() for values in own]
    # Complete in every board of every dataset.
    shared = sorted(set.intersection(*(set(values) for values in boards)))
    scores = [
        # Boards of one dataset are one block.
        [mean_defined([values[method] for values in own]) for method in shared]
        for own in by_dataset.values()
    ]
    return DatasetScores(tuple(shared), np.array(scores).reshape(len(by_dataset), len(shared)))


def _ranks(axis: Axes, blocks: DatasetScores) -> None:
    ranks, count = blocks.mean_ranks, len(blocks.methods)
    shown = names(blocks.methods)
    order = np.argsort(ranks, kind="stable")  # stable: equal ranks in order of names
    half = -(-count // 2)  # half of the names on each side
    cliques = blocks.cliques()
    floor = 0.55 * len(cliques) + 0.6
    axis.plot([1, count], [0, 0], color=BLACK, lw=1.2)
    for rank in range(1, count + 1):
        axis.plot([rank, rank], [-0.25, 0], color=BLACK, lw=1)
        axis.text(rank, -0.4, str(rank), ha="center", va="bottom", fontsize=SMALL)
    for i, m in enumerate(order.tolist()):
        left = i < half
        y = floor + (i if left else count - 1 - i)
        end = 1 - 0.04 * count if left else count + 0.04 * count
        axis.plot([ranks[m], ranks[m], end], [0, y, y], color=GREY, lw=0.8)
        name = shown[blocks.methods[m]]
        words = f"{name}  {ranks[m]:.2f}" if left else f"{ranks[m]:.2f}  {name}"
        axis.text(end, y, f" {words} ", ha="right" if left else "left", va="center",
                  fontsize=SMALL)  # fmt: skip
    by_name = dict(zip(blocks.methods, ranks.tolist(), strict=True))
    for i, clique in enumerate(cliques):
        own, y = [by_name[m] for m in clique], 0.35 + 0.55 * i
        axis.plot([min(own) - 0.03, max(own) + 0.03], [y, y], color=BLUE, lw=3.5,
                  solid_capstyle="butt")  # fmt: skip
    _ruler(axis, blocks.critical_difference())
    axis.set_ylim(floor + half - 0.3, -2.1)  # inverted: 0 at the top
    axis.set_axis_off()


def _ruler(axis: Axes, length: float) -> None:
    axis.plot([1, 1 + length], [-1.35, -1.35], "|-", color=BLACK, lw=1, ms=5)
    axis.text(1 + length / 2, -1.5, f"CD {length:.2f}", ha="center", va="bottom", fontsize=TINY)
