"""Two methods beside each other: every score, every class, and the slides they disagree on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mil_bench.errors import DataError, UnknownNameError
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.board import Board, BoardRow
from mil_bench.leaderboard.caveats import caveats_of
from mil_bench.leaderboard.common import common_board
from mil_bench.leaderboard.report import Report
from mil_bench.leaderboard.tables.disagreements import disagreements_table
from mil_bench.leaderboard.tables.pair_classes import pair_classes_table
from mil_bench.leaderboard.tables.pairs import AS_TRAINED, pairs_table
from mil_bench.leaderboard.tables.table import Table
from mil_bench.leaderboard.verdict import verdict_of

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
