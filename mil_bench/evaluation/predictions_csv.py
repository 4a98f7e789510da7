"""``predictions.csv``: a row per slide, a column per class and head, exact to the last bit.

Columns: ``set,slide_id,group_id,label,leaf:<class>...`` and ``<level>:<class>...`` for every direct
head. Probabilities are written in full (``repr``), so identical predictions give identical files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mil_bench.atomic import write_text
from mil_bench.errors import DataError
from mil_bench.evaluation.csv_safety import escape
from mil_bench.evaluation.prediction_table import PredictionTable, check_probabilities
from mil_bench.evaluation.predictions import Predictions
from mil_bench.taxonomy import LEAF, Taxonomy

IDENTITY = ("set", "slide_id", "group_id", "label")


def write_predictions(path: Path, sets: Mapping[str, Predictions]) -> None:
    """Write all sets (``val``, ``test``) in one file, at once or not at all.

    Raises ``DataError`` when a probability is not finite or rows do not sum to 1, and when the
    file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for i, (name, p) in enumerate(sets.items()):
        for level, probs in p.heads.items():
            check_probabilities(probs, p.slide_ids, f"the {level} head on the {name} set")
        if i == 0:
            writer.writerow(header(p))
        writer.writerows(_rows(name, p))
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror}; free space or choose another folder."
        ) from None


def read_predictions(path: Path, taxonomy: Taxonomy) -> dict[str, Predictions]:
    """Set name -> predictions, in the order of the file.

    Raises ``DataError`` for anything but what :func:`write_predictions` writes for this tree:
    missing or unknown columns, labels outside the tree, probabilities that are not, repeated
    slides. Rows are named.
    """
    table = PredictionTable.read(path)
    missing = [column for column in IDENTITY if column not in table.header]
    if missing:
        raise DataError(f"{path} has no column {missing}; expected {', '.join(IDENTITY)} first.")
    levels = table.levels(taxonomy)
    stray = set(table.header) - set(IDENTITY) - {c for cs in levels.values() for c in cs}
    if stray:
        raise DataError(
            f"{path} has the columns {sorted(stray)}, which are no classes of tree "
            f"{taxonomy.name!r}; was it written for another tree?"
        )
    return table.build(
        taxonomy,
        sets=table.text("set"),
        labels=table.text("label"),
        groups=table.text("group_id"),
        heads={level: table.numbers(columns) for level, columns in levels.items()},
    )


def header(p: Predictions) -> list[str]:
    """The column names for these predictions."""
    classes = p.taxonomy.classes
    columns = [p.column(v, k) for v in ordered_heads(p) for k in range(len(classes[v]))]
    return [*IDENTITY, *columns]


def ordered_heads(p: Predictions) -> list[str]:
    """Levels of the heads: leaf first, then from the top."""
    return [LEAF, *(v for v in p.taxonomy.levels[:-1] if v in p.heads)]


def _rows(name: str, p: Predictions) -> Iterator[list[str]]:
    probs: NDArray[np.float64] = np.hstack([p.heads[level] for level in ordered_heads(p)])
    for i, row in enumerate(probs.astype(np.float64).tolist()):
        label = p.taxonomy.leaves[p.labels[i]]
        words = (name, str(p.slide_ids[i]), str(p.groups[i]), label)
        yield [*map(escape, words), *map(repr, row)]
