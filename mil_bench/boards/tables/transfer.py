"""How much the scores of transferred rows drop from the models' own test slides."""

from __future__ import annotations

from mil_bench.base.errors import listed
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import RANKED
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import origin
from mil_bench.boards.tables.table import Cell, Number, Row, Table
from mil_bench.evaluation.inference.formulas import holm
from mil_bench.evaluation.inference.ranks import ALPHA
from mil_bench.evaluation.metrics import Score, in_order
from mil_bench.exchange.models.prediction_screen import drop_sentence

_KEYS = ("method", "score")
_SHOWN = ("drop", "own", "here", "p_holm", "models")
_ALL = (*_KEYS, "drop", "own", "here", "p", "p_holm", "models", "run_keys")
_NOTE = (
    "Drop: own test minus here, over the same trained models; above 0 they are worse here. Its "
    "interval is for new patients of both datasets"
)


def transfer_table(analysis: Analysis) -> Table | None:
    """Return a row per method and score; ``None`` where no model's own test is at hand."""
    moved = analysis.transfers
    if not moved:
        return None
    rows = [row for score in _scores(analysis) for row in _rows(analysis, score)]
    every = columns(*_ALL, table="transfer")
    title = f"From {analysis.board.id.trained_on} to {analysis.board.id.dataset}"
    return Table("transfer", title, every, tuple(rows), _KEYS, _SHOWN, _NOTE, (RANKED,))


def transfer_verdict(analysis: Analysis) -> str:
    """Say how balanced accuracy changes from the training data to these; empty without own tests.

    Of several rows those are named whose drop is significant after Holm's correction.
    """
    moved = {label: s[RANKED] for label, s in analysis.transfers.items() if RANKED in s}
    i = analysis.board.id
    where = f"from {i.trained_on} to {i.dataset}"
    if not moved:
        return ""
    if len(moved) == 1:
        ((label, alone),) = moved.items()
        return drop_sentence(alone, f"The balanced accuracy of {label}", f" {where}")
    corrected = holm([of_row.drop.p for of_row in moved.values()])
    rows = zip(moved.items(), corrected, strict=True)
    fell = [(m.drop.value, label) for (label, m), p in rows if p <= ALPHA and m.drop.value > 0]
    names = [f"{label} by {100 * drop:.1f}" for drop, label in sorted(fell, reverse=True)]
    which = f": {listed(names)} points" if names else ""
    return (
        f"Balanced accuracy drops significantly {where} for {len(fell) or 'none'} of "
        f"{len(moved)} methods (Holm){which}."
    )


def _scores(analysis: Analysis) -> list[Score]:
    """Scores of which higher is better, the ranked one first."""
    scores = in_order(
        score
        for of_row in analysis.transfers.values()
        for score in of_row
        if score.facts.better == 1 and not score.name and score.on_boards and score.source != "gain"
    )
    return sorted(scores, key=lambda score: score != RANKED)


def _rows(analysis: Analysis, score: Score) -> list[Row]:
    moved = {label: s[score] for label, s in analysis.transfers.items() if score in s}
    corrected = holm([of_row.drop.p for of_row in moved.values()])
    rows = {row.label: row for row in analysis.board.rows}
    return [
        Row(
            label,
            {
                "method": label,
                "score": str(score),
                "own": Number.of(of_row.own),
                "here": Number.of(of_row.here),
                "drop": Number.of(of_row.drop),
                "p": Number(of_row.drop.p),
                "p_holm": Number(float(p)),
                "models": Number(len(analysis.board.own_tests[label])),
                "run_keys": _keys(origin(analysis.board, rows[label])),
            },
            score,
        )
        for (label, of_row), p in zip(moved.items(), corrected, strict=True)
    ]


def _keys(cells: dict[str, Cell]) -> Cell:
    return cells["run_keys"]
