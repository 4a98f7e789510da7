"""Where methods look: scores of their maps over patches whose class is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mil_bench.base.errors import DataError
from mil_bench.base.taxonomy import LEAF
from mil_bench.boards.analysis import Analysis
from mil_bench.boards.board import BoardRow
from mil_bench.boards.tables.columns import columns
from mil_bench.boards.tables.identity import KEYS, keys, origin, origin_columns
from mil_bench.boards.tables.measure import spread_number
from mil_bench.boards.tables.table import Cell, Row, Table
from mil_bench.evaluation.predictions import SeedFold
from mil_bench.evaluation.sums import mean_defined
from mil_bench.heatmaps.localisation_table import ClassLocalisation, read_localisation

ALL_CLASSES = "mean"
_CLASS = ("level", "class")
_SCORES = ("scores", "slides", "prevalence", "patch_auc", "patch_ap")
_NOTE = (
    "AUC and AP of a class's attention (or gradient) over the patches of a test slide of the "
    "class, averaged over slides, then over runs. Runs are scored by mil-bench localise"
)
_Scored = Mapping[SeedFold, Sequence[ClassLocalisation]]


def localisation_table(analysis: Analysis) -> Table | None:
    """Return a row per method, level and class; ``mean`` is the mean of classes with slides.

    ``None`` unless a run has been scored (:mod:`mil_bench.heatmaps.localisation`).
    """
    board = analysis.board
    damaged: list[str] = []
    scored = {row.label: _read(row, damaged) for row in board.rows}
    rows = tuple(
        Row(row.label, origin(board, row) | cells)
        for row in board.rows
        for cells in _cells(row, scored[row.label])
    )
    if not rows:
        return None
    named = columns(*KEYS, *_CLASS, "coverage", *_SCORES, table="localisation")
    note = f"{_NOTE}. Left out: {damaged[0]}" if damaged else _NOTE
    every, shown = (*named, *origin_columns(board)), (*_SCORES, "coverage")
    return Table("localisation", "Localisation", every, rows, (*KEYS, *_CLASS), shown, note)


def _read(row: BoardRow, damaged: list[str]) -> _Scored:
    """The classes of every finished run that has been scored."""
    scored = {}
    for cell, record in row.done.items():
        try:
            classes = read_localisation(record.path)
        except DataError as error:
            damaged.append(str(error))  # one damaged file leaves the other runs in the table
        else:
            if classes is not None:
                scored[cell] = classes
    return scored


def _cells(row: BoardRow, scored: _Scored) -> Iterator[dict[str, Cell]]:
    """Every class that any run of the row has slides of, after the mean of its level."""
    # A class without slides has no AUC.
    tested = {cell: [c for c in classes if c.slides] for cell, classes in scored.items()}
    places = dict.fromkeys((c.level, c.name) for classes in tested.values() for c in classes)
    for level in dict.fromkeys(level for level, _ in places):
        if row.control and level != LEAF:
            continue  # its upper branches look for other classes than those of the tree
        names = [name for of_level, name in places if of_level == level]
        for title, members in ((ALL_CLASSES, names), *((name, [name]) for name in names)):
            of_class = {
                cell: [c for c in classes if c.level == level and c.name in members]
                for cell, classes in tested.items()
            }
            runs = {cell: classes for cell, classes in of_class.items() if classes}
            slides = {cell: sum(c.slides for c in classes) for cell, classes in runs.items()}
            yield {
                **keys(row),
                "level": level,
                "class": title,
                "coverage": f"{len(runs)} of {len(row.asked)}",
                "scores": "; ".join(sorted({c.source for of_run in runs.values() for c in of_run})),
                "slides": spread_number(slides, row),
                "prevalence": spread_number(_means(runs, "prevalence"), row),
                "patch_auc": spread_number(_means(runs, "auc"), row),
                "patch_ap": spread_number(_means(runs, "ap"), row),
            }


def _means(runs: _Scored, key: str) -> dict[SeedFold, float]:
    """Mean of one number over the classes, for every run."""
    return {cell: mean_defined([getattr(c, key) for c in of_run]) for cell, of_run in runs.items()}
