"""Scores in subgroups of the slides, by any column of a dataset's label table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow
from mil_bench.boards.report import Report
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import source_columns, sources
from mil_bench.boards.tables.table import Cell, Column, Number, Row, Table, score_column
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.load import load_labels
from mil_bench.evaluation.inference.bootstrap import replicate
from mil_bench.evaluation.inference.draws import ScoreReplicates
from mil_bench.evaluation.metrics import PRIMARY, Score
from mil_bench.evaluation.predictions import Predictions, SeedFold

MOST = 30  # TCGA-OT has 28 sites
UNKNOWN = "not stated"
NAME, GAP = "subgroups", "gap"
SCORES = tuple(map(Score, (PRIMARY, "macro_auc", "qwk", "macro_f1", "accuracy", "brier")))
_NOTE = (
    "Scores of the slides of each {column}, 95 % CI over patients. gap: the highest subgroup minus "
    "the lowest. Chance alone makes it larger than 0, because both are chosen by their scores. "
    "Subgroups may differ in their classes"
)
_Replicates = Mapping[Score, ScoreReplicates]


def with_subgroups(
    reports: Sequence[Report], column: str, dataset: str | None, data_root: Path | None
) -> list[Report]:
    """Return the reports, each with scores by ``column`` of its dataset's label table.

    With ``dataset`` (a name or a ``.toml``) only its reports get the table. Raises ``DataError``
    where none of them is among the reports.
    """
    options = DatasetOptions(data_root=data_root)
    names = [dataset] if dataset else dict.fromkeys(r.board.id.dataset for r in reports)
    read = [Subgroups.read(name, column, options) for name in names]
    by_dataset = {groups.dataset: groups for groups in read}
    if not any(r.board.id.dataset in by_dataset for r in reports):
        raise DataError(
            f"no board is of {', '.join(by_dataset)}; choose another --dataset or --runs."
        )
    return [_with_table(report, by_dataset.get(report.board.id.dataset)) for report in reports]


def _with_table(report: Report, groups: Subgroups | None) -> Report:
    table = subgroups_table(report.analysis, groups) if groups else None
    return replace(report, tables=(*report.tables, table)) if table else report


@dataclass(frozen=True)
class Subgroups:
    """Which slides of ``dataset`` have which value of ``column``; blanks are ``not stated``."""

    dataset: str
    column: str
    of: Mapping[str, str]

    @classmethod
    def read(cls, dataset: str, column: str, options: DatasetOptions) -> Subgroups:
        """Read the labels of a dataset (a name or a ``.toml``), without its features.

        Raises ``UnknownNameError`` for a column that is not there, and ``DataError`` for one of
        more than 30 values.
        """
        loaded = load_labels(dataset, options)
        table = loaded.manifest.table
        if column not in table.columns:
            raise UnknownNameError("column", column, table.columns, of=f"dataset {loaded.name!r}")
        texts = table[column].astype("string").fillna("").str.strip()  # any column, also of numbers
        values = [str(text) or UNKNOWN for text in texts]
        if len(set(values)) > MOST:
            raise DataError(
                f"column {column!r} of {loaded.name} has {len(set(values))} values; expected at "
                f"most {MOST} subgroups, so choose a coarser column."
            )
        return cls(loaded.name, column, dict(zip(table["slide_id"], values, strict=True)))

    def among(self, rows: Iterable[BoardRow]) -> list[str]:
        """List the subgroups that rows have tested, in order; ``not stated`` comes last."""
        tested = {s for row in rows for p in row.predictions.values() for s in p.slide_ids.tolist()}
        names = {self.of.get(slide, UNKNOWN) for slide in tested}
        return sorted(names, key=lambda name: (name == UNKNOWN, name))

    def part(self, row: BoardRow, name: str) -> dict[SeedFold, Predictions]:
        """Return the test predictions of a row for one subgroup, of the cells that test it."""
        parts = {
            # Slides that the table lacks are "not stated".
            cell: p.cut([i for i, s in enumerate(p.slide_ids) if self.of.get(s, UNKNOWN) == name])
            for cell, p in row.predictions.items()
        }
        # A cell without a slide of the subgroup has no score.
        return {cell: p for cell, p in parts.items() if len(p)}


def subgroups_table(analysis: Analysis, groups: Subgroups) -> Table | None:
    """Return a row per method and subgroup, then its gap; ``None`` without intervals."""
    resampling, board = analysis.resampling, analysis.board
    if resampling is None:
        return None
    origins, rows = sources(board), []
    names = groups.among(board.rows)
    for row in board.rows:
        if row.label not in analysis.scores:
            continue
        parts = {name: cells for name in names if (cells := groups.part(row, name))}
        drawn = {name: replicate(cells, resampling) for name, cells in parts.items()}
        lines = [
            _place(row.label, name, parts[name].values()) | _numbers(drawn[name]) for name in parts
        ]
        if len(parts) > 1:
            lines.append(_place(row.label, GAP, ()) | _gaps(drawn))
        rows += [Row(row.label, origins[row.label] | line) for line in lines]
    scores = [s for s in SCORES if any(row[str(s)] is not None for row in rows)]
    every = (
        *columns("method"),
        Column("subgroup", groups.column),
        *columns("slides", "patients"),
        *map(score_column, scores),
        *source_columns(board),
    )
    shown = ("slides", "patients", *map(str, scores))
    note = _NOTE.format(column=groups.column)
    keys = ("method", "subgroup")
    return Table(NAME, f"Subgroups: {groups.column}", every, tuple(rows), keys, shown, note)


def _place(method: str, name: str, cells: Iterable[Predictions]) -> dict[str, Cell]:
    slides = {slide for p in cells for slide in p.slide_ids.tolist()}
    patients = {group for p in cells for group in p.groups.tolist()}
    return {
        "method": method,
        "subgroup": name,
        "slides": Number(len(slides)) if slides else None,
        "patients": Number(len(patients)) if slides else None,
    }


def _numbers(drawn: _Replicates) -> dict[str, Cell]:
    return {str(score): Number.of(drawn[score]) for score in SCORES if score in drawn}


def _gaps(drawn: Mapping[str, _Replicates]) -> dict[str, Cell]:
    """Highest minus lowest subgroup of every score that at least two define."""
    gaps: dict[str, Cell] = {}
    for score in SCORES:
        values = {
            group: scores[score]
            for group, scores in drawn.items()
            # nan is unlike itself: only defined values
            if score in scores and scores[score].value == scores[score].value
        }
        if len(values) > 1:
            high = max(values, key=lambda group: values[group].value)
            low = min(values, key=lambda group: values[group].value)
            d = values[high] - values[low]
            gaps[str(score)] = Number(d.value, d.low, d.high, note=f"{high} minus {low}")
    return gaps
