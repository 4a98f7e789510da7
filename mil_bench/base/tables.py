"""Tables of any tool as text: CSV, TSV, ``;`` with decimal comma, gzip, XLSX. No pandas for text.

Labels, splits and predictions are all read here.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from mil_bench.base.errors import DataError

TEXT_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz")
TABLE_SUFFIXES = (".xlsx", *TEXT_SUFFIXES)
MOST_CHARACTERS = 2_000_000_000
"""Of an unpacked text table; a small gzip file can unpack to any size."""
LONGEST_LINE = 20_000_000


@dataclass(frozen=True)
class TextTable:
    """The cells of a table, each stripped; ``lines[i]`` is where row ``i`` is in the file.

    Columns without a name are called ``Unnamed: 0`` by position; a name that is there twice gets
    ``.1`` behind it.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def column(self, name: str) -> list[str]:
        """Return the cells of one column by its name."""
        index = self.header.index(name)
        return [row[index] for row in self.rows]


def is_table(path: Path) -> bool:
    """Return whether the name of ``path`` has the suffix of a table that can be read."""
    return path.name.lower().endswith(TABLE_SUFFIXES)


def read_cells(
    path: Path,
    sheet: str | int = 0,
    header: bool = True,
    *,
    ragged: bool = False,
    what: str = "file",
    most: int | None = None,
) -> TextTable:
    """Read a table as stripped text, without its blank rows.

    ``sheet`` is the name or position of an XLSX sheet. Without ``header`` the columns are named
    by position, ``0, 1, ...``. ``what`` is the kind of file in messages, ``most`` limits its rows.
    Raises ``DataError`` for a file that cannot be read as a table and for a row with more cells
    than the header. So does a row with fewer, unless ``ragged``.
    """
    try:
        lines = _filled(_sheet(path, sheet) if _is_workbook(path) else _text(path))
        numbered = list(lines if most is None else itertools.islice(lines, most + 2))
        if not numbered:
            raise ValueError("it is empty")
        if most is not None and len(numbered) > most + 1:
            raise ValueError(f"it has more than {most:,} rows")
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"cannot read {what} {path}: {reason}; check the path.") from None
    except (ValueError, EOFError, csv.Error, zlib.error) as error:
        kind = path.suffix.lstrip(".").upper()
        raise DataError(
            f"{path} is not a readable {kind} table ({error}); "
            "expected CSV, TSV or XLSX with one row per slide."
        ) from None
    names = _names(numbered[0][1]) if header else ()
    rows = numbered[1:] if header else numbered
    if not rows:
        raise DataError(f"{path} has no rows below its header; expected one row per slide.")
    names = names or tuple(map(str, range(len(rows[0][1]))))
    if ragged:
        rows = [(line, row + ("",) * (len(names) - len(row))) for line, row in rows]
    cells = tuple(_fitted(row, len(names), path, line) for line, row in rows)
    return TextTable(path, names, cells, tuple(line for line, _ in rows))


def headers(path: Path) -> list[str]:
    """Return column names of a text table, without reading the rest."""
    try:
        with _open(path) as file:
            line = file.readline(LONGEST_LINE)
    except (OSError, UnicodeDecodeError, EOFError):
        return []
    return [name.strip().strip('"') for name in line.rstrip("\r\n").split(_separator(line))]


def named(header: Iterable[object], names: Iterable[str]) -> str | None:
    """Return the column called one of ``names``, ignoring case, blanks, ``_`` and ``-``."""
    # Reversed: of equal names the first stays.
    by_name = {plain(name): str(name) for name in reversed(list(header))}
    return next((by_name[plain(name)] for name in names if plain(name) in by_name), None)


def plain(name: object) -> str:
    """Return a name in lower case, without blanks, ``_`` and ``-``."""
    return re.sub(r"[\s_-]+", "", str(name)).lower()


def _is_workbook(path: Path) -> bool:
    return path.suffix.lower() == ".xlsx"


def _sheet(path: Path, sheet: str | int) -> Iterator[tuple[int, Sequence[str]]]:
    import pandas as pd  # workbooks only: scores of predictions need numpy and scipy

    with path.open("rb") as file:
        try:
            table = pd.read_excel(file, sheet, header=None, dtype=str, na_filter=False)
        except Exception as error:  # a damaged archive fails in zipfile, XML or openpyxl alike
            raise ValueError(f"{type(error).__name__}: {error}") from None
    for i, row in enumerate(table.itertuples(index=False, name=None), start=1):
        yield i, [str(cell) for cell in row]


def _text(path: Path) -> Iterator[tuple[int, Sequence[str]]]:
    with _open(path) as file:
        separator = _separator(file.readline(LONGEST_LINE))
    with _open(path) as file:
        reader = csv.reader(_bounded(file), delimiter=separator)
        for row in reader:
            yield reader.line_num, row


def _open(path: Path) -> IO[str]:
    if path.suffix == ".gz":
        return cast(IO[str], gzip.open(path, "rt", encoding="utf-8-sig", newline=""))
    return path.open(encoding="utf-8-sig", newline="")


def _separator(line: str) -> str:
    return max(",\t;", key=line.count)  # the most frequent one of the three


def _bounded(file: IO[str]) -> Iterator[str]:
    """The lines of a file, refused when they are more than any table of slides has."""
    read = 0
    while line := file.readline(LONGEST_LINE):
        if len(line) == LONGEST_LINE:
            raise ValueError(f"it has a line of more than {LONGEST_LINE:,} characters")
        read += len(line)
        if read > MOST_CHARACTERS:
            raise ValueError(f"it unpacks to more than {MOST_CHARACTERS:,} characters")
        yield line


def _filled(rows: Iterable[tuple[int, Sequence[str]]]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Stripped rows with any content."""
    for line, row in rows:
        cells = tuple(cell.strip() for cell in row)
        if any(cells):
            yield line, cells


def _names(cells: Sequence[str]) -> tuple[str, ...]:
    names: list[str] = []
    times: dict[str, int] = {}
    for i, cell in enumerate(cells):
        name = cell or f"Unnamed: {i}"
        seen = times[name] = times.get(name, -1) + 1
        names.append(f"{name}.{seen}" if seen else name)
    return tuple(names)


def _fitted(row: tuple[str, ...], size: int, path: Path, line: int) -> tuple[str, ...]:
    """A row as long as the header; blank cells behind it, which some tools write, are cut."""
    if len(row) < size or any(row[size:]):
        raise DataError(
            f"{path} line {line} has {len(row)} cells, the header {size}; the file may be cut "
            "short, or a cell may need quotes."
        )
    return row[:size]
