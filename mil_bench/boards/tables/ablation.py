"""Ablations: every variant of a method compared with one reference row, score by score.

The judgement is that of pairs of methods: over patients, over retraining, and Holm's correction
over the rows of a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mil_bench.base.errors import counted, listed
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow, Study
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import origin
from mil_bench.boards.tables.measure import measured
from mil_bench.boards.tables.pairs import (
    AS_TRAINED,
    DIFFERENCE,
    Pair,
    compare_pairs,
    difference_cells,
)
from mil_bench.boards.tables.table import Cell, Column, Number, Row, Table
from mil_bench.evaluation.metrics import Score

_SHOWN = ("value", "difference", "p_holm", "refits", "p_refits", "decision", "coverage")
_RUNS = ("seeds", "split", "split_digest", "leaky", "run_keys", "status")
_NOTE = (
    "Difference: row minus {reference}. {as_trained}. Holm's correction is over the rows that a "
    "score compares: {n}"
)


def ablation_table(analysis: Analysis) -> Table | None:
    """Return a row per variant and score, components as check marks; ``None`` for other boards."""
    study = analysis.board.study
    if study is None or study.settings:  # settings have their own table
        return None
    described = (
        *columns("method", "group"),
        *(Column(name, name, "check", wide=True) for name in study.varied),
        *columns("overrides"),
    )
    shown = (*study.varied, *_SHOWN)
    named = columns("variant", "change", table="ablation")
    table = _table(analysis, study, named, described, shown)
    return replace(table, name="ablation", title="Components", sections="group")


def sensitivity_table(analysis: Analysis) -> Table | None:
    """Return a row per combination of settings and score; ``None`` for other boards."""
    study = analysis.board.study
    if study is None or not study.settings:
        return None
    settings = tuple(Column(name, name) for name in study.varied)
    table = _table(analysis, study, settings, columns("default"), ("default", *_SHOWN))
    return replace(table, name="sensitivity", title="Settings")


def _table(
    analysis: Analysis,
    study: Study,
    named: tuple[Column, ...],
    described: tuple[Column, ...],
    shown: tuple[str, ...],
) -> Table:
    """Every row of the board by every score, identified by the columns ``named``."""
    scores = study_scores(analysis, study)
    values = {score: measured(analysis, score) for score in scores}
    pairs = {score: differences(analysis, study, score) for score in scores}
    rows = tuple(
        _row(analysis, study, row, score, values[score][row.label], pairs[score].get(row.label))
        for row in analysis.board.rows
        for score in scores
    )
    judged = columns("value", *DIFFERENCE, "status", table="ablation")
    every = (*named, *columns("score"), *described, *judged)
    keys = (*(column.name for column in named), "score")
    # scores may be defined for fewer rows, and Holm's correction is over those
    sizes = sorted({len(compared) for compared in pairs.values() if compared})
    n = " to ".join(map(str, dict.fromkeys((sizes[0], sizes[-1])))) if sizes else ""
    reference = study.reference or "the default"
    note = _NOTE.format(reference=reference, as_trained=AS_TRAINED, n=n) if sizes else ""
    return Table("", "", every, rows, keys, shown, note, tuple(scores))


def _row(
    analysis: Analysis,
    study: Study,
    row: BoardRow,
    score: Score,
    value: Cell,
    pair: Pair | None,
) -> Row:
    """One line; without ``pair`` (the reference, or a row that lacks runs) it has no difference."""
    runs = origin(analysis.board, row)
    cells: dict[str, Cell] = {
        **study.cells[row.label],
        "method": row.method,
        "variant": row.label,
        "score": str(score),
        # Marks rank methods; variants are compared with one row.
        "value": replace(value, mark="") if isinstance(value, Number) else value,
        "coverage": row.coverage,
        **{name: runs[name] for name in _RUNS},
        **(difference_cells(analysis, pair) if pair else {}),
    }
    return Row(row.label, cells, score)


def study_scores(analysis: Analysis, study: Study) -> list[Score]:
    """Return the requested scores that any row has, or all while no run is finished."""
    rows = analysis.board.rows
    existing = [score for score in study.scores if any(row.values(score) for row in rows)]
    return existing or list(study.scores)


def differences(analysis: Analysis, study: Study, score: Score) -> dict[str, Pair]:
    """Map the label of every comparable row to its comparison with the reference.

    Empty where the reference is missing or incomplete: over fewer runs the differences would be
    those of another experiment.
    """
    others = [label for label in analysis.paired if label != study.reference]
    pairs = compare_pairs(analysis, score, [(label, study.reference) for label in others])
    return {pair.a: pair for pair in pairs}


def ablation_verdict(analysis: Analysis) -> str:
    """Return which rows differ from the reference, a sentence for scores that say the same.

    Empty for other boards.
    """
    study = analysis.board.study
    if study is None:
        return ""
    if analysis.refusal:
        return f"Nothing can be compared: {analysis.refusal.rstrip('.')}."
    titles: dict[str, list[str]] = {}
    for score in study_scores(analysis, study):
        if pairs := differences(analysis, study, score):
            titles.setdefault(_differing(study, list(pairs.values())), []).append(score.facts.title)
    sentences = [f"{_capital(listed(of, len(of)))}: {words}." for words, of in titles.items()]
    return " ".join(sentences) or f"Nothing can be compared: {_nothing(analysis, study)}."


def _nothing(analysis: Analysis, study: Study) -> str:
    """Why no row is compared."""
    reference = [row for row in analysis.board.rows if row.label == study.reference]
    if not reference:
        return "the default is not among the values"
    if not reference[0].complete:
        return f"{study.reference} has {reference[0].coverage} runs"
    return f"no other row has the runs and slides of {study.reference}"


def _differing(study: Study, pairs: Sequence[Pair]) -> str:
    """``bare is worse than full; 16 of 17 rows are not significantly different from full``."""
    parts = []
    for word in ("worse", "better"):
        confirmed = [pair.a for pair in pairs if pair.decision == word]
        trained = [pair.a for pair in pairs if pair.decision == f"{word} as trained"]
        if confirmed:
            parts.append(f"{_are(confirmed)} {word} than {study.reference}")
        if trained:
            parts.append(
                f"{_are(trained)} {word} than {study.reference} as trained, but retraining does "
                "not confirm it"
            )
    alike = [pair.a for pair in pairs if pair.decision == "not separable"]
    if alike:
        number = f"{len(alike)} of {counted(len(pairs), 'row')}"
        verb = "is" if len(alike) == 1 else "are"
        parts.append(f"{number} {verb} not significantly different from {study.reference}")
    return "; ".join(parts)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _are(labels: Sequence[str]) -> str:
    return f"{listed(labels)} {'is' if len(labels) == 1 else 'are'}"
