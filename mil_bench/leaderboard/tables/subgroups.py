"""Every method in every subgroup of the slides, and how far its best and worst are apart."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mil_bench.evaluation.inference.bootstrap import replicate
from mil_bench.evaluation.inference.draws import ScoreReplicates
from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.predictions import Predictions
from mil_bench.leaderboard.analysis import Analysis
from mil_bench.leaderboard.reliability import resampling_of
from mil_bench.leaderboard.subgroups import Subgroups
from mil_bench.leaderboard.tables.column import Column, score_column
from mil_bench.leaderboard.tables.columns import columns
from mil_bench.leaderboard.tables.identity import source_columns, sources
from mil_bench.leaderboard.tables.table import Cell, Number, Row, Table

SCORES = ("balanced_accuracy", "macro_auc", "qwk", "macro_f1", "accuracy", "brier")
NAME, GAP = "subgroups", "gap"
_NOTE = (
    "Scores of the slides of each {column}, intervals over patients. gap: the highest subgroup "
    "minus the lowest; as they are chosen by their scores, chance alone makes it larger than 0. "
    "Subgroups may differ in their classes"
)
Drawn = Mapping[Score, ScoreReplicates]


def subgroups_table(analysis: Analysis, groups: Subgroups) -> Table | None:
    """A row per method and subgroup, then its gap; ``None`` without intervals."""
    if analysis.refusal:
        return None
    resampling, source, rows = resampling_of(analysis), sources(analysis.board), []
    names = groups.among(analysis.board.rows)
    for row in analysis.board.rows:
        if row.label not in analysis.scores:
            continue
        parts = {name: cells for name in names if (cells := groups.part(row, name))}
        drawn = {name: replicate(cells, resampling) for name, cells in parts.items()}
        told = [
            _place(row.label, name, parts[name].values()) | _numbers(drawn[name]) for name in parts
        ]
        if len(parts) > 1:
            told.append(_place(row.label, GAP, ()) | _gaps(drawn))
        rows += [Row(row.label, source[row.label] | of_group) for of_group in told]
    known = [n for n in SCORES if any(row[n] is not None for row in rows)]
    every = (
        *columns("method"),
        Column("subgroup", groups.column),
        *columns("slides", "patients"),
        *map(score_column, known),
        *source_columns(analysis.board),
    )
    shown = ("slides", "patients", *known)
    note = _NOTE.format(column=groups.column)
    keys = ("method", "subgroup")
    title = f"Subgroups: {groups.column}"
    return Table(NAME, title, every, tuple(rows), keys, shown, note)


def _place(method: str, name: str, cells: Iterable[Predictions]) -> dict[str, Cell]:
    found = list(cells)
    if not found:
        return {"method": method, "subgroup": name, "slides": None, "patients": None}
    slides = {slide for p in found for slide in p.slide_ids.tolist()}
    patients = {group for p in found for group in p.groups.tolist()}
    counts = {"slides": Number(len(slides)), "patients": Number(len(patients))}
    return {"method": method, "subgroup": name, **counts}


def _numbers(drawn: Drawn) -> dict[str, Cell]:
    return {name: Number.of(drawn[Score(name)]) for name in SCORES if Score(name) in drawn}


def _gaps(drawn: Mapping[str, Drawn]) -> dict[str, Cell]:
    """Highest minus lowest subgroup of every score that at least two define."""
    found: dict[str, Cell] = {}
    for name in SCORES:
        values = {
            group: scores[Score(name)]
            for group, scores in drawn.items()
            if Score(name) in scores and scores[Score(name)].value == scores[Score(name)].value
        }
        if len(values) > 1:
            high = max(values, key=lambda group: values[group].value)
            low = min(values, key=lambda group: values[group].value)
            d = values[high] - values[low]
            found[name] = Number(d.value, d.low, d.high, note=f"{high} minus {low}")
    return found
