"""Files of predictions as a board: a row per model, a cell per fold and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mil_bench.base.errors import DataError, counted, listed
from mil_bench.base.finding import Note
from mil_bench.boards.analysis import Analysis, with_interval
from mil_bench.boards.board import RANKED, Board, BoardId, BoardRow
from mil_bench.boards.collect import RunRecord
from mil_bench.boards.compare import comparison
from mil_bench.boards.notes import caveats_of, notes_of
from mil_bench.boards.report import Report
from mil_bench.boards.rescore import common_board
from mil_bench.boards.tables.calibration import calibration_table, reliability_table
from mil_bench.boards.tables.pairs import pairs_table
from mil_bench.boards.tables.scores import classwise_table, hierarchical_table, overall_table
from mil_bench.boards.tables.thresholds import thresholds_table
from mil_bench.boards.verdict import verdict_of
from mil_bench.evaluation.metrics import Score
from mil_bench.evaluation.predictions import SeedFold
from mil_bench.evaluation.scores import Scores
from mil_bench.exchange.tables.foreign import ForeignModel

KIND = "predictions"
_TABLES = (
    overall_table,
    hierarchical_table,
    pairs_table,
    classwise_table,
    calibration_table,
    reliability_table,
    thresholds_table,
)


def reports_of_files(
    models: Sequence[ForeignModel], dataset: str, *, shared: bool = False
) -> dict[str, Report]:
    """Return a report for every set that all models have, by its name.

    ``dataset`` is what titles and verdicts call the data, empty if it has no name. ``shared``
    reduces all models to the slides, folds and seeds that they share; without it models of
    different slides are refused with their number. Raises ``DataError`` where nothing is shared or
    labels differ.
    """
    # Only sets of all models can be compared.
    sets = [name for name in models[0].sets if all(name in model.sets for model in models)]
    if not sets:
        each = "; ".join(f"{m.name} has {', '.join(m.sets)}" for m in models)
        raise DataError(f"the files share no set: {each}. Correct the column of sets.")
    return {name: _report(_board(models, dataset, name), models, name, shared) for name in sets}


def _board(models: Sequence[ForeignModel], dataset: str, of_set: str) -> Board:
    # Cells of any model, so that a hole is seen.
    cells = sorted({cell for model in models for cell in model.sets[of_set]})
    rows = [_row(model, of_set, tuple(cells)) for model in models]
    rows.sort(key=lambda row: (row.rank_key, row.label))
    tree = models[0].tree
    split = "" if of_set == "test" else of_set
    named = tree.name if dataset else ""  # without a tree it is called like a file
    board_id = BoardId(KIND, dataset, tree=named, split=split, tree_digest=tree.digest())
    return Board(board_id, tree, tuple(rows), notes_of(rows))


def _row(model: ForeignModel, of_set: str, asked: tuple[SeedFold, ...]) -> BoardRow:
    """The set is scored as a test set; validation slides beside a test set give thresholds."""
    of_val = model.sets.get("val", {}) if of_set == "test" else {}
    records = {}
    for cell, p in model.sets[of_set].items():
        sets = {"test": p, **({"val": of_val[cell]} if cell in of_val else {})}
        records[cell] = RunRecord(
            model.files[cell], "done", scores=Scores.of(p), sets=sets, at=cell
        )
    return BoardRow(model.name, "", "", records, asked)


def _reading(models: Sequence[ForeignModel]) -> list[Note]:
    """How files were read, once for all that were read alike."""
    by_note: dict[str, list[str]] = {}
    for model in models:
        for note in model.notes:
            by_note.setdefault(note, []).append(model.name)
        if len(model.files) > 1:
            cells = f"{counted(len(model.files), 'run')} (seed, fold): {_cells(model)}"
            by_note.setdefault(cells, []).append(model.name)
    return [
        Note("reading", note if len(names) == len(models) else f"{listed(names)}: {note}")
        for note, names in by_note.items()
    ]


def _cells(model: ForeignModel) -> str:
    cells = [f"{seed}, {fold}" for seed, fold in sorted(model.files)]
    shown = "; ".join(cells[:6])
    return f"{shown}; ..." if len(cells) > 6 else shown


def _report(board: Board, models: Sequence[ForeignModel], of_set: str, shared: bool) -> Report:
    if shared:
        board = common_board(board)
    elif len(board.rows) > 1:
        _check_shared(models, of_set)
    analysis = Analysis.of(board)
    for label, why in analysis.unpaired.items():
        raise DataError(f"{label} cannot be compared: {why}")  # raised for the first
    tables = tuple(table for make in _TABLES if (table := make(analysis)) is not None)
    verdict = _with_p(analysis, verdict_of(analysis))
    alike = _identical(models)
    if len(models) == 1:
        verdict = _single(analysis)
    elif len(models) == 2 and alike:
        verdict, tables = alike, tuple(table for table in tables if table.name != "pairs")
    elif alike:
        board = replace(board, notes=(Note("comparison", alike), *board.notes))
        analysis = replace(analysis, board=board)
    # Two models have the tables of `compare`, too.
    if len(board.rows) == 2 and not alike and len(analysis.paired) == 2:
        two = comparison(board, *(row.label for row in board.rows))
        own = {table.name for table in two.tables}
        others = [table for table in tables[1:] if table.name not in {*own, "pairs"}]
        tables = (tables[0], *two.tables, *others)
    notes = (*_reading(models), *caveats_of(analysis))
    # A screen shows the first notes: what makes every interval too narrow comes first.
    caveats = tuple(sorted(notes, key=lambda note: note.kind != "patients"))
    return Report(board, analysis, tables, verdict, caveats, ())


def _check_shared(models: Sequence[ForeignModel], of_set: str) -> None:
    """Refuse models of different slides or runs, with how many they share."""
    first, *others = models
    for other in others:
        mine, theirs = first.sets[of_set], other.sets[of_set]
        if mine.keys() != theirs.keys():
            both = len(mine.keys() & theirs.keys())
            raise DataError(
                f"{first.name} has {counted(len(mine), 'run')} (seed, fold) and {other.name} "
                f"{len(theirs)}, of which they share {both}; "
                + ("add --common to compare those." if both else "give both the same folds.")
            )
        for cell in mine:
            a, b = ({*p.slide_ids.tolist()} for p in (mine[cell], theirs[cell]))
            if a != b:
                both = len(a & b)
                raise DataError(
                    f"{first.name} predicts {len(a)} slides and {other.name} {len(b)} (seed "
                    f"{cell[0]}, fold {cell[1]}), of which they share {both}; "
                    + ("add --common to compare those." if both else "nothing can be compared.")
                )


def _identical(models: Sequence[ForeignModel]) -> str:
    """Say which models hold the same predictions; empty where none do."""
    for i, a in enumerate(models):
        for b in models[:i]:
            if b.same_as(a):
                return (
                    f"{b.name} and {a.name} are identical: the same predictions of the same slides."
                )
    return ""


def _with_p(analysis: Analysis, verdict: str) -> str:
    """A verdict on two models, and the p of their difference."""
    if len(analysis.paired) != 2:
        return verdict
    p = analysis.difference(*analysis.paired, RANKED).p
    if p != p:
        return verdict
    return f"{verdict} p {'< 0.001' if p < 0.001 else f'= {p:.3f}'}, paired over patients."


def _single(analysis: Analysis) -> str:
    """The answer for one model: its balanced accuracy and AUC with intervals."""
    (row,) = analysis.board.rows
    scores = {score: row.spread(score).mean for score in (RANKED, Score("macro_auc"))}
    drawn = analysis.scores.get(row.label, {})
    words = [
        f"{score.facts.title if score != RANKED else 'balanced accuracy'} "
        + with_interval(
            value,
            *((drawn[score].low, drawn[score].high) if score in drawn else (float("nan"),) * 2),
        )
        for score, value in scores.items()
        if value == value
    ]
    slides, patients = row.tested
    return f"{row.label}: {', '.join(words)}, {slides} slides of {patients} patients or groups."
