"""``predictions.csv``: a row per slide, a column per class and head, exact to the last bit.

Columns: ``set,slide_id,group_id,label,leaf:<class>...`` and ``<level>:<class>...`` for every direct
head. Probabilities are written in full (``repr``), so identical predictions give identical files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mil_bench.base.atomic import write_text
from mil_bench.base.csv_safety import escape, unescape
from mil_bench.base.errors import DataError, TaxonomyError, UnknownNameError, nearest
from mil_bench.base.taxonomy import LEAF, Taxonomy
from mil_bench.evaluation.predictions import Predictions

# Sums of probabilities stored with four decimals or in half precision stay within this of 1.
TOLERANCE = 2e-3
OWN_TOLERANCE = 1e-4
"""The same for files that mil-bench has written, in full precision."""
_SHOWN = 5
IDENTITY = ("set", "slide_id", "group_id", "label")


def write_predictions(path: Path, sets: Mapping[str, Predictions]) -> None:
    """Write all sets (``val``, ``test``) in one file, at once or not at all.

    Raises ``DataError`` when a probability is not finite or rows do not sum to 1, and when the
    file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for i, (name, p) in enumerate(sets.items()):
        for level, probs in p.heads.items():  # before the first byte is written
            check_probabilities(
                probs, p.slide_ids, f"the {level} head on the {name} set", OWN_TOLERANCE
            )
        if i == 0:  # one header; all sets have the same heads
            writer.writerow(header(p))
        writer.writerows(_rows(name, p))
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise DataError(
            f"cannot write {path}: {error.strerror}; free space or choose another folder."
        ) from None


def read_predictions(
    path: Path, taxonomy: Taxonomy, tolerance: float = OWN_TOLERANCE
) -> dict[str, Predictions]:
    """Read predictions by the name of their set, in the order of the file.

    Raises ``DataError`` for anything but what :func:`write_predictions` writes for this tree:
    missing or unknown columns, labels outside the tree, cells that are not probabilities, repeated
    slides. Rows are named. Sums of probabilities may differ from 1 by ``tolerance``.
    """
    table = PredictionTable.read(path)
    missing = [column for column in IDENTITY if column not in table.header]
    if missing:
        raise DataError(f"{path} has no column {missing}; expected {', '.join(IDENTITY)} first.")
    levels = table.levels(taxonomy)
    stray = set(table.header) - set(IDENTITY) - {c for cs in levels.values() for c in cs}
    if stray:
        raise DataError(
            f"{path} has the columns {sorted(stray)}, which are not classes of tree "
            f"{taxonomy.name!r}; was it written for another tree?"
        )
    return table.build(
        taxonomy,
        sets=table.text("set"),
        labels=table.text("label"),
        groups=table.text("group_id"),
        heads={level: table.numbers(columns) for level, columns in levels.items()},
        tolerance=tolerance,
    )


def header(p: Predictions) -> list[str]:
    """Return the column names for these predictions."""
    classes = p.taxonomy.classes
    columns = [p.column(v, k) for v in ordered_heads(p) for k in range(len(classes[v]))]
    return [*IDENTITY, *columns]


def ordered_heads(p: Predictions) -> list[str]:
    """List the levels of the heads: leaf first, then from the top."""
    return [LEAF, *(v for v in p.taxonomy.levels[:-1] if v in p.heads)]


def _rows(name: str, p: Predictions) -> Iterator[list[str]]:
    probs: NDArray[np.float64] = np.hstack([p.heads[level] for level in ordered_heads(p)])
    for i, row in enumerate(probs.astype(np.float64).tolist()):
        label = p.taxonomy.leaves[p.labels[i]]
        words = (name, str(p.slide_ids[i]), str(p.groups[i]), label)
        yield [*map(escape, words), *map(repr, row)]  # repr: read back to the same bits


@dataclass(frozen=True)
class PredictionTable:
    """Header and cells of a file. Line ``i + 2`` of the file is ``cells[i]``."""

    path: Path
    header: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    @classmethod
    def read(cls, path: Path) -> PredictionTable:
        """Read a comma (``.tsv``: tab) separated file. ``DataError`` when it is not one."""
        delimiter = "\t" if path.suffix == ".tsv" else ","
        try:
            # Excel's byte order mark; newlines inside quotes.
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = [tuple(row) for row in csv.reader(file, delimiter=delimiter) if row]
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}.") from None
        except (UnicodeDecodeError, csv.Error) as error:
            raise DataError(f"{path} is not a CSV file in UTF-8 ({error}).") from None
        if len(rows) < 2:
            raise DataError(f"{path} holds no predictions; expected a header and a row per slide.")
        header = tuple(name.strip() for name in rows[0])
        twice = sorted({name for name in header if header.count(name) > 1})
        if twice:
            raise DataError(f"{path} has the columns {twice} more than once; keep one of each.")
        for number, row in enumerate(rows[1:], start=2):
            if len(row) != len(header):  # a short row would shift cells
                raise DataError(
                    f"{path} line {number} has {len(row)} cells, the header {len(header)}; "
                    "the file may be cut short or a cell may need quotes."
                )
        return cls(path, header, tuple(rows[1:]))

    def text(self, column: str) -> list[str]:
        """Return one column of words, unescaped."""
        index = self.header.index(column)
        return [unescape(row[index]) for row in self.cells]

    def numbers(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """Return columns as numbers ``(n, len(columns))``; ``DataError`` names any other cell."""
        index = [self.header.index(column) for column in columns]
        try:
            # The fast path; the slow one below finds the cell.
            return np.array([[float(row[i]) for i in index] for row in self.cells])
        except ValueError:
            line, column, cell = next(
                (number, self.header[i], row[i])
                for number, row in enumerate(self.cells, start=2)
                for i in index
                if not _is_number(row[i])
            )
            raise DataError(
                f"{self.path} line {line}, column {column!r}: {cell!r} is not a number; "
                "expected a probability such as 0.25."
            ) from None

    def levels(self, taxonomy: Taxonomy) -> dict[str, list[str]]:
        """Return the columns ``level:class`` of the leaf and of every head that the file has.

        ``DataError`` when a level misses classes, naming the columns that look like them.
        """
        by_level = {}
        for level in taxonomy.levels:
            names = [f"{level}:{name}" for name in taxonomy.classes[level]]
            # A head may be absent, but not in part.
            if level == LEAF or any(name in self.header for name in names):
                self.require(names, f"classes of level {level!r} of tree {taxonomy.name!r}")
                by_level[level] = names
        return {LEAF: by_level[LEAF], **by_level}  # leaf first

    def require(self, columns: Sequence[str], what: str) -> None:
        """Raise ``DataError`` unless all ``columns`` are there."""
        missing = [column for column in columns if column not in self.header]
        if missing:
            near = nearest(missing[0], self.header)
            hint = f"nearest to {missing[0]!r}: {near}" if near else f"found: {list(self.header)}"
            raise DataError(f"{self.path} has no columns {missing} ({what}); {hint}.")

    def build(
        self,
        taxonomy: Taxonomy,
        *,
        sets: Sequence[str],
        labels: Sequence[str],
        groups: Sequence[str],
        heads: Mapping[str, NDArray[np.float64]],
        tolerance: float = TOLERANCE,
    ) -> dict[str, Predictions]:
        """Make the predictions of every set, after all checks. Sequences have one entry per row."""
        slides = self.text("slide_id")
        self._check_slides(sets, slides)
        truth = self._labels(taxonomy, labels)
        # Named in errors.
        rows = np.array([f"line {i + 2} ({slide})" for i, slide in enumerate(slides)])
        for level, probs in heads.items():
            check_probabilities(probs, rows, f"{self.path}, level {level!r}", tolerance)
        names = np.array(sets)
        return {
            name: Predictions(
                taxonomy,
                np.array(slides)[names == name],
                np.array(groups)[names == name],
                truth[names == name],
                {level: probs[names == name] for level, probs in heads.items()},
            )
            for name in dict.fromkeys(sets)
        }

    def _check_slides(self, sets: Sequence[str], slides: Sequence[str]) -> None:
        seen: dict[tuple[str, str], int] = {}
        for line, key in enumerate(zip(sets, slides, strict=True), start=2):
            if not key[1]:
                raise DataError(f"{self.path} line {line} has no slide_id; add the slide id.")
            first = seen.setdefault(key, line)
            if first != line:
                raise DataError(
                    f"{self.path} lists slide {key[1]!r} twice in the {key[0]} set (lines {first} "
                    f"and {line}); expected one row per slide and one file per fold."
                )

    def _labels(self, taxonomy: Taxonomy, labels: Sequence[str]) -> NDArray[np.int64]:
        try:
            return np.array([taxonomy.index(label) for label in labels], dtype=np.int64)
        except UnknownNameError as error:
            line = next(i for i, v in enumerate(labels, start=2) if v not in taxonomy.leaves)
            raise TaxonomyError(f"{self.path} line {line}: {error}") from None


def check_probabilities(
    probs: NDArray[np.float64],
    rows: Sequence[str] | NDArray[np.str_],
    what: str,
    tolerance: float = TOLERANCE,
) -> None:
    """Raise a ``DataError`` naming rows unless ``(n, K)`` is finite, in [0, 1] and sums to 1."""
    finite = np.isfinite(probs).all(1)
    if not finite.all():
        raise DataError(
            f"{what}: {_some(rows, np.flatnonzero(~finite))} hold NaN or infinite probabilities; "
            "the model has diverged or the file is damaged."
        )
    # A softmax is never below 0; tables that were rounded or subtracted elsewhere may be.
    least = -tolerance if tolerance > OWN_TOLERANCE else 0.0
    inside = ((probs >= least) & (probs <= 1 + tolerance)).all(1)
    if not inside.all():
        raise DataError(
            f"{what}: {_some(rows, np.flatnonzero(~inside))} hold values outside [0, 1]; "
            "expected probabilities."
        )
    sums = probs.sum(1)
    whole = np.isclose(sums, 1, rtol=0, atol=tolerance)
    if not whole.all():
        raise DataError(
            f"{what}: probabilities of {_some(rows, np.flatnonzero(~whole))} do not sum to 1 "
            f"(first: {sums[~whole][0]:.4g}); expected one probability per class of the tree."
        )


def _some(rows: Sequence[str] | NDArray[np.str_], index: NDArray[np.int64]) -> str:
    chosen = [str(rows[i]) for i in index]
    shown = ", ".join(chosen[:_SHOWN])
    return shown if len(chosen) <= _SHOWN else f"{shown} and {len(chosen) - _SHOWN} more"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
