"""Scores of predictions made anywhere, and their differences, by the code that makes the boards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.compare import shortened
from mil_bench.boards.files_board import reports_of_files
from mil_bench.boards.formats.terminal import EVERYTHING, show
from mil_bench.boards.report import Report
from mil_bench.boards.tables.columns import class_column, columns
from mil_bench.boards.tables.measure import measured
from mil_bench.boards.tables.table import Cell, Column, Number, Row, Table
from mil_bench.evaluation.metrics import CLASS_METRICS, COUNTS, Score
from mil_bench.evaluation.scores import Scores
from mil_bench.exchange.tables.foreign import read_models, with_count
from mil_bench.exchange.tables.reference import reference_of

ON_SCREEN = ("overall", "scores", "pairs")
"""Tables of several files on a screen; ``--verbose`` prints classes and slides, too."""
_VERBOSE = (*ON_SCREEN, "hierarchical", "classes", "slides")
_VALUE = Column("value", "Value", "row", interval="patients")
_COLUMNS = (*columns("score"), _VALUE, Column("meaning", "Meaning"))


@dataclass(frozen=True)
class ScoreRequest:
    """Files to score, and what defines their classes: a dataset, a tree file, or they alone.

    ``tree`` chooses among the trees of ``dataset``. ``common`` scores the slides that all files
    share; ``logits`` says that the files hold logits.
    """

    files: Sequence[Path]
    dataset: str | None = None
    tree: str | None = None
    data_root: Path | None = None
    common: bool = False
    logits: bool = False

    def reports(self) -> dict[str, Report]:
        """Read the files and return a report per set. Raises ``DataError`` or ``UsageError``."""
        reference = reference_of(self.dataset, self.tree, self.data_root)
        read = read_models(self.files, reference, logits=self.logits)
        models = [with_count(model, reference) for model in read]
        return reports_of_files(models, reference.name, shared=self.common)


def show_scores(reports: Mapping[str, Report], console: Console, *, verbose: bool = False) -> None:
    """Print the report of every set: the answer, its tables, and how the files were read."""
    for report in reports.values():
        if len(report.board.rows) > 1:
            tables = _VERBOSE if verbose else ON_SCREEN
            show([shortened(report)], console, tables, verbose=verbose)
        else:
            lists = replace(report, tables=tuple(score_tables(report)))
            show([lists], console, [EVERYTHING], verbose=verbose)


def score_tables(report: Report) -> list[Table]:
    """Return overall, hierarchical (unless flat) and class-wise tables of a single model."""
    (row,) = report.board.rows
    scores = next(record.scores for record in row.done.values() if record.scores is not None)
    of_all = [score for score in scores.values if not score.name and score.on_boards]
    leaf = [score for score in of_all if score.is_leaf]
    tree = [score for score in of_all if score.level != LEAF]
    named = {"overall": leaf, "hierarchy": tree}
    lists = [_list(title, report, chosen) for title, chosen in named.items() if chosen]
    places = dict.fromkeys((s.level, s.source) for s in scores.values if s.name)
    return [*lists, *(_classes(report, scores, *place) for place in _from_top(scores, places))]


def _from_top(scores: Scores, places: dict[tuple[str, str], None]) -> list[tuple[str, str]]:
    """Levels and sources from the top of the tree, summed before direct."""
    levels = list(dict.fromkeys(level for level, _ in scores.support))
    return sorted(places, key=lambda place: (levels.index(place[0]), place[1] == "direct"))


def _value(report: Report, score: Score) -> Cell:
    return measured(report.analysis, score)[report.board.rows[0].label]


def _list(title: str, report: Report, chosen: list[Score]) -> Table:
    rows = tuple(
        Row(
            "",
            {"score": str(score), "value": _value(report, score), "meaning": score.facts.note},
            score,
        )
        for score in chosen
    )
    return Table(title, title, _COLUMNS, rows, ("score",), ("value", "meaning"))


def _classes(report: Report, scores: Scores, level: str, source: str) -> Table:
    """A row per class of one level and source."""
    title = f"classes: {level}" if level == LEAF else f"classes: {level}, {source}"
    names = [name for at, name in scores.support if at == level]
    metrics = [m for m in CLASS_METRICS if Score(m, level, source, names[0]) in scores.values]
    rows = []
    for name in names:
        counts = dict(zip(COUNTS, map(Number, scores.support[level, name]), strict=True))
        rates = {m: _value(report, Score(m, level, source, name)) for m in metrics}
        cells: dict[str, Cell] = {"class": name, **counts, **rates}
        rows.append(Row("", cells))
    shown = (*COUNTS, *metrics)
    every = (*columns("class"), *map(class_column, shown))
    return Table(f"classes-{level}-{source}", title, every, tuple(rows), ("class",), shown)


def notes_of_reading(reports: Mapping[str, Report]) -> tuple[str, ...]:
    """Return how the files were read, as sentences."""
    notes = [n.text for r in reports.values() for n in r.caveats if n.kind == "reading"]
    return tuple(dict.fromkeys(notes))
