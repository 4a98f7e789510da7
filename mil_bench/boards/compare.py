"""Two methods compared: every score, every class, and the slides they decide differently."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import Board, BoardRow
from mil_bench.boards.notes import caveats_of
from mil_bench.boards.report import Report
from mil_bench.boards.rescore import common_board
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.pairs import (
    AS_TRAINED,
    DIFFERENCE,
    Pair,
    compare_pairs,
    difference_cells,
    pairs_table,
)
from mil_bench.boards.tables.table import Cell, Number, Row, Table
from mil_bench.boards.verdict import verdict_of
from mil_bench.evaluation.inference.delong import auc_difference
from mil_bench.evaluation.inference.formulas import mcnemar
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.predictions import Predictions

FIRST_SLIDES = 15
_OF_CLASSES = ("auc", "sensitivity")
_CLASS_KEYS = ("level", "source", "class", "score")
_CLASS_SHOWN = (*_CLASS_KEYS, "first", "second", "difference", "p")
_CLASS_NOTE = (
    "{} first, {} second; difference: first minus second; p is not corrected for many classes"
)
_BY_FORMULA = "p_formula"
_SLIDE_KEYS = ("slide", "fold")
_SLIDE_SHOWN = ("label", "first", "second", "right", "first_p", "second_p")
_SLIDE_COLUMNS = columns("slide", "patient", "fold", *_SLIDE_SHOWN, table="slides")
_Probabilities = dict[tuple[int, str], NDArray[np.float64]]


def comparisons(
    boards: Sequence[Board], a: str, b: str, dataset: str | None = None, *, shared: bool = False
) -> list[Report]:
    """Compare ``a`` and ``b`` on every board that has both, of ``dataset`` if it is specified.

    Rows are named by label (``abmil (tuned)``) or method. Raises ``UnknownNameError`` for names of
    no row, and ``DataError`` unless both predict the same slides; ``shared`` cuts them down to
    those that both have.
    """
    candidates = [board for board in boards if dataset in (None, board.id.dataset)]
    if not candidates:
        raise UnknownNameError("dataset", dataset or "", _datasets(boards), of="these runs")
    labels = dict.fromkeys(row.label for board in candidates for row in board.rows if row.done)
    for name in (a, b):
        if not any(_find(board, name) for board in candidates):
            raise UnknownNameError("method with finished runs", name, labels)
    both = [board for board in candidates if _find(board, a) and _find(board, b)]
    if not both:
        raise DataError(f"{a} and {b} share no board; run both on the same data.")
    return [comparison(board, a, b, shared=shared) for board in both]


def comparison(board: Board, a: str, b: str, *, shared: bool = False) -> Report:
    """Compare two rows of one board; see :func:`comparisons`."""
    rows = [row for name in (a, b) if (row := _find(board, name)) is not None]
    if len({row.label for row in rows}) < 2:
        raise DataError(f"{a} and {b} are the same row; name two rows of {board.title}.")
    # Cells of either row, so that a hole is seen.
    cells = tuple(dict.fromkeys(cell for row in rows for cell in row.done))
    # In order of the board.
    pair = sorted((replace(r, asked=cells) for r in rows), key=lambda r: (r.rank_key, r.label))
    two = replace(board, rows=tuple(pair), twins=())
    analysis = Analysis.of(common_board(two) if shared else two)
    for label, why in analysis.unpaired.items():
        # Raised for the first.
        raise DataError(f"{label} cannot be compared: {why} Add --common to use the shared slides.")
    makers = (_scores_table, _classes_table, disagreements_table)
    tables = tuple(table for make in makers if (table := make(analysis)) is not None)
    return Report(analysis.board, analysis, tables, verdict_of(analysis), caveats_of(analysis), ())


def _find(board: Board, name: str) -> BoardRow | None:
    """The row of that label, else the highest row of that method, with a result."""
    done = [row for row in board.rows if row.done]
    named = [row for row in done if row.label == name]
    return next(iter(named or [row for row in done if row.method == name]), None)


def _datasets(boards: Sequence[Board]) -> list[str]:
    return sorted({board.id.dataset for board in boards})


def shortened(report: Report, rows: int = FIRST_SLIDES) -> Report:
    """Return the report with the first ``rows`` of the slides only."""
    tables = [replace(t, rows=t.rows[:rows]) if t.name == "slides" else t for t in report.tables]
    return replace(report, tables=tuple(tables))


def _scores_table(analysis: Analysis) -> Table | None:
    """The table of pairs, of which there is one."""
    table = pairs_table(analysis)
    if table is None:
        return None
    shown = tuple(name for name in table.shown if name not in ("method", "other"))
    a, b = analysis.paired
    note = f"Difference: {a} minus {b}. {AS_TRAINED}"
    table = replace(
        table, name="scores", title="Scores", keys=("score",), shown=shown, note=note, leads=()
    )
    p = _mcnemar(analysis)
    if p is None:
        return table
    rows = tuple(
        replace(row, cells={**row.cells, _BY_FORMULA: p}) if row.score == Score("accuracy") else row
        for row in table.rows
    )
    every = (*table.columns, *columns(_BY_FORMULA, table="scores"))
    return replace(table, rows=rows, columns=every, shown=(*shown, _BY_FORMULA))


def _mcnemar(analysis: Analysis) -> Number | None:
    """McNemar's exact p of the accuracies, on one test set with one slide per patient."""
    pair = _single_test(analysis)
    # McNemar requires independent slides.
    if pair is None or len(np.unique(pair[0].groups)) < len(pair[0]):
        return None
    return Number(mcnemar(*(p.heads[LEAF].argmax(1) == p.labels for p in pair)))


def _single_test(analysis: Analysis) -> tuple[Predictions, Predictions] | None:
    """The predictions of both rows in one order, where each has a single run."""
    rows = {row.label: row for row in analysis.board.rows}
    a, b = (list(rows[label].predictions.values()) for label in analysis.paired[:2])
    if len(a) > 1 or len(b) > 1:
        return None
    # In one order of slides.
    return a[0].cut(np.argsort(a[0].slide_ids)), b[0].cut(np.argsort(b[0].slide_ids))


def _classes_table(analysis: Analysis) -> Table | None:
    """A row per class and score of two comparable rows; ``None`` without two."""
    if len(analysis.paired) < 2:
        return None
    a, b = analysis.paired[:2]
    single = _single_test(analysis)
    rows = [
        _class_row(analysis, pair, single)
        for metric in _OF_CLASSES
        for key in analysis.board.class_keys
        for pair in compare_pairs(analysis, Score(metric, *key), [(a, b)])
    ]
    note = _CLASS_NOTE.format(a, b)
    formula = (_BY_FORMULA,) if single else ()
    every = columns(*_CLASS_KEYS, "first", "second", *DIFFERENCE, *formula, table="classes")
    shown = (*_CLASS_SHOWN, *formula)
    return Table("classes", "Classes", every, tuple(rows), _CLASS_KEYS, shown, note)


def _class_row(
    analysis: Analysis, pair: Pair, single: tuple[Predictions, Predictions] | None
) -> Row:
    metric, level, source, name = pair.score
    cells: dict[str, Cell] = {
        "level": level,
        "source": source,
        "class": name,
        "score": metric,
        "first": Number.of(analysis.scores[pair.a][pair.score]),
        "second": Number.of(analysis.scores[pair.b][pair.score]),
    }
    if single and metric == "auc":
        k = single[0].taxonomy.classes[level].index(name)
        a, b = (p.probabilities(level, source)[:, k] for p in single)
        positive = single[0].truth(level) == k
        cells[_BY_FORMULA] = Number(auc_difference(positive, a, b, single[0].groups).p)
    return Row(pair.a, cells | difference_cells(analysis, pair), pair.score)


def disagreements_table(analysis: Analysis) -> Table | None:
    """Return a row per slide and fold on which two comparable rows decide for different leaves.

    The slides on which one is surest to be right come first. Probabilities are means over seeds.
    ``None`` without two rows.
    """
    if len(analysis.paired) < 2:
        return None
    rows = {row.label: row for row in analysis.board.rows}
    a, b = analysis.paired[:2]
    first, second = _mean_probabilities(rows[a]), _mean_probabilities(rows[b])
    labels = {
        (cell[1], str(slide)): (str(group), int(label))
        for cell, p in rows[a].predictions.items()
        for slide, group, label in zip(p.slide_ids, p.groups, p.labels, strict=True)
    }
    apart = [key for key in first if first[key].argmax() != second[key].argmax()]
    # Largest difference in the probability of the truth first.
    apart.sort(key=lambda key: (-abs(first[key] - second[key])[labels[key][1]], key))
    assert analysis.board.taxonomy is not None
    leaves = analysis.board.taxonomy.leaves
    lines = tuple(
        _slide_row(a, key, *labels[key], first[key], second[key], leaves) for key in apart
    )
    note = (
        f"{a} first, {b} second; {len(apart)} of {len(first)} slides are decided differently, by "
        "the mean probability over seeds"
    )
    title = "Slides decided differently"
    return Table("slides", title, _SLIDE_COLUMNS, lines, _SLIDE_KEYS, _SLIDE_SHOWN, note)


def _mean_probabilities(row: BoardRow) -> _Probabilities:
    """``(fold, slide)`` -> ``(K,)`` leaf probabilities, the mean over seeds."""
    by_slide: dict[tuple[int, str], list[NDArray[np.float64]]] = defaultdict(list)
    for (_, fold), p in sorted(row.predictions.items()):
        for slide, probs in zip(p.slide_ids, p.heads[LEAF], strict=True):
            by_slide[fold, str(slide)].append(probs)
    return {key: np.mean(values, axis=0) for key, values in by_slide.items()}


def _slide_row(
    method: str,
    key: tuple[int, str],
    patient: str,
    label: int,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    leaves: tuple[str, ...],
) -> Row:
    decisions = (int(first.argmax()), int(second.argmax()))
    right = {decisions[0]: "first", decisions[1]: "second"}.get(label, "neither")
    cells: dict[str, Cell] = {
        "slide": key[1],
        "patient": patient,
        "fold": Number(key[0]),
        "label": leaves[label],
        "first": leaves[decisions[0]],
        "second": leaves[decisions[1]],
        "right": right,
        "first_p": Number(float(first[label])),
        "second_p": Number(float(second[label])),
    }
    return Row(method, cells)
