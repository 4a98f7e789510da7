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
_Found = Mapping[SeedFold, Sequence[ClassLocalisation]]


def localisation_table(analysis: Analysis) -> Table | None:
    """A row per method, level and class; the class ``mean`` is the mean of those that have slides.

    ``None`` unless a run has been scored (:mod:`mil_bench.heatmaps.localisation`).
    """
    board = analysis.board
    damaged: list[str] = []
    found = {row.label: _read(row, damaged) for row in board.rows}
    rows = tuple(
        Row(row.label, origin(board, row) | one)
        for row in board.rows
        for one in _cells(row, found[row.label])
    )
    if not rows:
        return None
    named = columns(*KEYS, *_CLASS, "coverage", *_SCORES, table="localisation")
    told = f"{_NOTE}. Left out: {damaged[0]}" if damaged else _NOTE
    every, shown = (*named, *origin_columns(board)), (*_SCORES, "coverage")
    return Table("localisation", "Localisation", every, rows, (*KEYS, *_CLASS), shown, told)


def _read(row: BoardRow, damaged: list[str]) -> _Found:
    """The rows of every finished run that has been scored."""
    found = {}
    for cell, record in row.done.items():
        try:
            rows = read_localisation(record.path)
        except DataError as error:
            damaged.append(str(error))
        else:
            if rows is not None:
                found[cell] = rows
    return found


def _cells(row: BoardRow, found: _Found) -> Iterator[dict[str, Cell]]:
    """Every class that any run of the row has slides of, behind the mean of its level."""
    told = {cell: [one for one in rows if one.slides] for cell, rows in found.items()}
    places = dict.fromkeys((one.level, one.name) for rows in told.values() for one in rows)
    for level in dict.fromkeys(level for level, _ in places):
        if row.control and level != LEAF:
            continue  # its upper branches look for other classes than those of the tree
        names = [name for of_level, name in places if of_level == level]
        for title, wanted in ((ALL_CLASSES, names), *((name, [name]) for name in names)):
            of_class = {
                cell: [one for one in rows if one.level == level and one.name in wanted]
                for cell, rows in told.items()
            }
            runs = {cell: rows for cell, rows in of_class.items() if rows}
            yield {
                **keys(row),
                "level": level,
                "class": title,
                "coverage": f"{len(runs)} of {len(row.asked)}",
                "scores": "; ".join(sorted({one.source for rows in runs.values() for one in rows})),
                "slides": spread_number(
                    {c: sum(o.slides for o in r) for c, r in runs.items()}, row
                ),
                "prevalence": spread_number(_means(runs, "prevalence"), row),
                "patch_auc": spread_number(_means(runs, "auc"), row),
                "patch_ap": spread_number(_means(runs, "ap"), row),
            }


def _means(runs: _Found, key: str) -> dict[SeedFold, float]:
    """Mean of one number over the classes, for every run."""
    return {cell: mean_defined([getattr(one, key) for one in rows]) for cell, rows in runs.items()}
