"""Two methods, class by class."""

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
from mil_bench.boards.pairs import Pair, compare_pairs
from mil_bench.boards.report import Report
from mil_bench.boards.rescore import common_board
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.pairs import AS_TRAINED, DIFFERENCE, difference_cells, pairs_table
from mil_bench.boards.tables.table import Cell, Number, Row, Table
from mil_bench.boards.verdict import verdict_of
from mil_bench.evaluation.inference.score_draws import Score

METRICS = ("auc", "sensitivity")
_KEYS = ("level", "source", "class", "score")
_SHOWN = (*_KEYS, "first", "second", "difference", "p")
_NOTE = "{} first, {} second; difference: first minus second; p is not corrected for many classes"


def pair_classes_table(analysis: Analysis) -> Table | None:
    """A row per class and score of two comparable rows; ``None`` without two."""
    if len(analysis.paired) < 2:
        return None
    a, b = analysis.paired[:2]
    rows = [
        _row(analysis, pair)
        for metric in METRICS
        for level, source, name in analysis.board.class_keys
        for pair in compare_pairs(analysis, Score(metric, level, source, name), [(a, b)])
    ]
    note = _NOTE.format(a, b)
    every = columns(*_KEYS, "first", "second", *DIFFERENCE, table="classes")
    return Table("classes", "Classes", every, tuple(rows), _KEYS, _SHOWN, note)


def _row(analysis: Analysis, pair: Pair) -> Row:
    metric, level, source, name = pair.score
    cells: dict[str, Cell] = {
        "level": level,
        "source": source,
        "class": name,
        "score": metric,
        "first": Number.of(analysis.scores[pair.a][pair.score]),
        "second": Number.of(analysis.scores[pair.b][pair.score]),
    }
    return Row(pair.a, cells | difference_cells(analysis, pair), metric)


# Slides that two methods decide differently, those first on which one is surest to be right.

Means = dict[tuple[int, str], NDArray[np.float64]]
_KEYS_DISAGREEMENTS = ("slide", "fold")
_SHOWN_DISAGREEMENTS = ("label", "first", "second", "right", "first_p", "second_p")
_COLUMNS = columns("slide", "patient", "fold", *_SHOWN_DISAGREEMENTS, table="slides")


def disagreements_table(analysis: Analysis) -> Table | None:
    """A row per slide and fold on which two comparable rows decide for different leaves.

    Probabilities are means over seeds. ``None`` without two rows.
    """
    if len(analysis.paired) < 2:
        return None
    rows = {row.label: row for row in analysis.board.rows}
    a, b = analysis.paired[:2]
    one, two = _means(rows[a]), _means(rows[b])
    known = {
        (cell[1], str(slide)): (str(group), int(label))
        for cell, p in rows[a].predictions.items()
        for slide, group, label in zip(p.slide_ids, p.groups, p.labels, strict=True)
    }
    apart = [key for key in one if one[key].argmax() != two[key].argmax()]
    apart.sort(key=lambda key: (-abs(one[key] - two[key])[known[key][1]], key))
    assert analysis.board.taxonomy is not None
    leaves = analysis.board.taxonomy.leaves
    found = [_row_disagreements(a, key, *known[key], one[key], two[key], leaves) for key in apart]
    note = (
        f"{a} first, {b} second; {len(apart)} of {len(one)} slides are decided differently, by the "
        "mean probability over seeds"
    )
    return Table(
        "slides",
        "Slides decided differently",
        _COLUMNS,
        tuple(found),
        _KEYS_DISAGREEMENTS,
        _SHOWN_DISAGREEMENTS,
        note,
    )


def _means(row: BoardRow) -> Means:
    """``(fold, slide)`` -> ``(K,)`` leaf probabilities, the mean over seeds."""
    found: dict[tuple[int, str], list[NDArray[np.float64]]] = defaultdict(list)
    for (_, fold), p in sorted(row.predictions.items()):
        for slide, probs in zip(p.slide_ids, p.heads[LEAF], strict=True):
            found[fold, str(slide)].append(probs)
    return {key: np.mean(values, axis=0) for key, values in found.items()}


def _row_disagreements(
    method: str,
    key: tuple[int, str],
    patient: str,
    label: int,
    one: NDArray[np.float64],
    two: NDArray[np.float64],
    leaves: tuple[str, ...],
) -> Row:
    said = (int(one.argmax()), int(two.argmax()))
    right = {said[0]: "first", said[1]: "second"}.get(label, "neither")
    cells: dict[str, Cell] = {
        "slide": key[1],
        "patient": patient,
        "fold": Number(key[0]),
        "label": leaves[label],
        "first": leaves[said[0]],
        "second": leaves[said[1]],
        "right": right,
        "first_p": Number(float(one[label])),
        "second_p": Number(float(two[label])),
    }
    return Row(method, cells)


# Two methods beside each other: every score, every class, and the slides they disagree on.

FIRST_SLIDES = 15


def comparisons(
    boards: Sequence[Board], a: str, b: str, dataset: str | None = None, *, shared: bool = False
) -> list[Report]:
    """A report of ``a`` and ``b`` for every board that has both, of ``dataset`` if it is given.

    Rows are named by label (``abmil (tuned)``) or method. Raises ``UnknownNameError`` for names of
    no row, and ``DataError`` unless both predict the same slides; ``shared`` cuts them down to
    those that both have.
    """
    asked = [board for board in boards if dataset in (None, board.id.dataset)]
    if not asked:
        raise UnknownNameError("dataset", dataset or "", _datasets(boards), of="these runs")
    known = [row.label for board in asked for row in board.rows if row.done]
    for name in (a, b):
        if not any(_find(board, name) for board in asked):
            raise UnknownNameError("method with finished runs", name, dict.fromkeys(known))
    both = [board for board in asked if _find(board, a) and _find(board, b)]
    if not both:
        raise DataError(f"{a} and {b} are on no board together; run both on the same data.")
    return [comparison(board, a, b, shared=shared) for board in both]


def comparison(board: Board, a: str, b: str, *, shared: bool = False) -> Report:
    """The report of two rows of one board; see :func:`comparisons`."""
    rows = [row for name in (a, b) if (row := _find(board, name)) is not None]
    if len({row.label for row in rows}) < 2:
        raise DataError(f"{a} and {b} are the same row; name two rows of {board.title}.")
    cells = tuple(dict.fromkeys(cell for row in rows for cell in row.done))
    pair = sorted((replace(r, asked=cells) for r in rows), key=lambda r: (r.rank_key, r.label))
    two = replace(board, rows=tuple(pair), twins=())
    analysis = Analysis.of(common_board(two) if shared else two)
    for label, why in analysis.unpaired.items():
        raise DataError(f"{label} cannot be compared: {why} Add --common to use what both have.")
    makers = (_scores_table, pair_classes_table, disagreements_table)
    tables = tuple(table for make in makers if (table := make(analysis)) is not None)
    return Report(analysis.board, analysis, tables, verdict_of(analysis), caveats_of(analysis), ())


def shortened(report: Report, rows: int = FIRST_SLIDES) -> Report:
    """The report with the first ``rows`` of the slides alone."""
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
    return replace(
        table, name="scores", title="Scores", keys=("score",), shown=shown, note=note, lead=""
    )


def _find(board: Board, name: str) -> BoardRow | None:
    """The row of that label, else the highest row of that method, with a result."""
    done = [row for row in board.rows if row.done]
    named = [row for row in done if row.label == name]
    return next(iter(named or [row for row in done if row.method == name]), None)


def _datasets(boards: Sequence[Board]) -> list[str]:
    return sorted({board.id.dataset for board in boards})
