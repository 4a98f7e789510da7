"""Which slides belong to which subgroup: any column of a dataset's label table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mil_bench.base.errors import DataError, UnknownNameError
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow
from mil_bench.boards.board import Cell as FoldAndSeed
from mil_bench.boards.report import Report
from mil_bench.boards.tables.calibration import resampling_of
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import source_columns, sources
from mil_bench.boards.tables.table import Cell, Column, Number, Row, Table, score_column
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.datasets.load import load_labels
from mil_bench.evaluation.inference.bootstrap import replicate
from mil_bench.evaluation.inference.draws import ScoreReplicates
from mil_bench.evaluation.inference.score_draws import Score
from mil_bench.evaluation.predictions import Predictions

MOST = 30  # TCGA-OT has 28 sites
UNKNOWN = "not stated"


@dataclass(frozen=True)
class Subgroups:
    """``of`` maps slides of ``dataset`` to their value of ``column``; blanks are ``not stated``."""

    dataset: str
    column: str
    of: Mapping[str, str]

    @classmethod
    def read(cls, dataset: str, column: str, options: DatasetOptions) -> Subgroups:
        """From the labels of a dataset (a name or a ``.toml``), without its features.

        Raises ``UnknownNameError`` for a column that is not there, and ``DataError`` for one of
        more than 30 values.
        """
        loaded = load_labels(dataset, options)
        table = loaded.manifest.table
        if column not in table.columns:
            raise UnknownNameError("column", column, table.columns, of=f"dataset {loaded.name!r}")
        texts = table[column].astype("string").fillna("").str.strip()
        values = [str(text) or UNKNOWN for text in texts]
        if len(set(values)) > MOST:
            raise DataError(
                f"column {column!r} of {loaded.name} has {len(set(values))} values; expected at "
                f"most {MOST} subgroups, so choose a coarser column."
            )
        return cls(loaded.name, column, dict(zip(table["slide_id"], values, strict=True)))

    def among(self, rows: Iterable[BoardRow]) -> list[str]:
        """Subgroups that rows have tested, in order; ``not stated`` (or not in the table) last."""
        tested = {s for row in rows for p in row.predictions.values() for s in p.slide_ids.tolist()}
        found = {self.of.get(slide, UNKNOWN) for slide in tested}
        return sorted(found, key=lambda name: (name == UNKNOWN, name))

    def part(self, row: BoardRow, name: str) -> dict[FoldAndSeed, Predictions]:
        """Test predictions of a row for the slides of one subgroup; cells without any are out."""
        found = {cell: self._cut(p, name) for cell, p in row.predictions.items()}
        return {cell: p for cell, p in found.items() if len(p)}

    def _cut(self, p: Predictions, name: str) -> Predictions:
        rows = [i for i, slide in enumerate(p.slide_ids) if self.of.get(slide, UNKNOWN) == name]
        heads = {level: probs[rows] for level, probs in p.heads.items()}
        return Predictions(p.taxonomy, p.slide_ids[rows], p.groups[rows], p.labels[rows], heads)


# Every method in every subgroup of the slides, and how far its best and worst are apart.

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


# Reports with a table of subgroups.


def with_subgroups(
    reports: Sequence[Report], column: str, dataset: str | None, data_root: Path | None
) -> list[Report]:
    """The reports, each with scores by ``column`` of its dataset's label table.

    With ``dataset`` (a name or a ``.toml``) only its reports get the table. Raises ``DataError``
    where none of them is among the reports.
    """
    options = DatasetOptions(data_root=data_root)
    names = [dataset] if dataset else dict.fromkeys(r.board.id.dataset for r in reports)
    read = [Subgroups.read(name, column, options) for name in names]
    groups = {found.dataset: found for found in read}
    if not any(r.board.id.dataset in groups for r in reports):
        raise DataError(f"no board is of {', '.join(groups)}; choose another --dataset or --runs.")
    return [_with(report, groups.get(report.board.id.dataset)) for report in reports]


def _with(report: Report, groups: Subgroups | None) -> Report:
    table = subgroups_table(report.analysis, groups) if groups else None
    return replace(report, tables=(*report.tables, table)) if table else report
