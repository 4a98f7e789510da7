"""Finding and reading label tables: CSV, TSV and XLSX, every cell a stripped string."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from mil_bench.base.errors import DataError, nearest
from mil_bench.base.tables import headers, is_table, named, read_cells
from mil_bench.contract.sets import set_name


def tables_in(folder: Path, stems: Sequence[str] = ("",)) -> Iterator[Path]:
    """Yield tables in ``folder`` and ``folder/labels`` whose names start with one of ``stems``.

    Order of ``stems`` first, workbooks before text files, then by name; case is ignored.
    """
    files = [p for f in (folder, folder / "labels") if f.is_dir() for p in f.iterdir()]
    files = [p for p in files if p.is_file() and is_table(p)]
    for stem in stems:
        fitting = [p for p in files if p.name.lower().startswith(stem.lower())]
        yield from sorted(fitting, key=lambda p: (p.suffix.lower() != ".xlsx", p.name))
        files = [p for p in files if p not in fitting]  # a file is listed under its first stem


def read_table(path: Path, sheet: str | int = 0, header: bool = True) -> pd.DataFrame:
    """Read a table with string cells; headers and cells are stripped, blank rows dropped.

    ``sheet`` and ``header`` are those of :func:`~mil_bench.base.tables.read_cells`, which raises
    ``DataError`` for a file that cannot be read as a table.
    """
    cells = read_cells(path, sheet, header, ragged=True, what="label file")
    return pd.DataFrame(cells.rows, columns=list(cells.header), dtype=str)


def column(table: pd.DataFrame, names: Iterable[str]) -> str | None:
    """Return the column called one of ``names``, ignoring case, blanks, ``_`` and ``-``."""
    return named(table.columns, names)


def require(table: pd.DataFrame, names: Sequence[str], path: Path, hint: str = "") -> str:
    """Return a column as :func:`column` does; ``DataError`` lists the columns if it is missing."""
    name = column(table, names)
    if name is None:
        near = nearest(names[0], table.columns)
        columns, more = list(table.columns)[:12], len(table.columns) - 12
        rest = f" and {more} more" if more > 0 else ""
        guess = f"; the nearest is {near[0]!r}" if near else ""
        expected = " or ".join(map(repr, names))
        raise DataError(
            f"{path} has the columns {columns}{rest}; expected {expected}{guess}. "
            f"{hint or 'Rename the column.'}"
        )
    return name


# Labels that come as a table per set: ``train.csv``, ``val.csv``, ``test.csv``.

SET = "set"
_SET_COLUMNS = ("split", "set", "split_info", "dataset_split")


def read_sets(root: Path, columns: Sequence[str]) -> pd.DataFrame | None:
    """Join all tables of ``root`` that have ``columns``; return ``None`` without any.

    The result has ``columns`` first, under these names, then :data:`SET`: the value of a column
    ``split``, else the set that ends the file's name (``train.csv``, ``tcga-ot_train.csv``), else
    blank. Raises ``DataError`` for a table of a set that cannot be read. It is also raised for a
    table that lacks a column, if its name has a set or there is no other table.
    """
    absent = {
        path: _lacking(path, columns) for path in tables_in(root) if path.suffix.lower() != ".xlsx"
    }
    complete = [path for path, names in absent.items() if not names]
    for path, names in absent.items():
        # Half of the columns: it is meant as such a table.
        if 0 < len(names) <= len(columns) / 2 and (_set_of(path) or not complete):
            hint = "Rename the column, or remove the file if it is not one of these lists."
            require(read_table(path), names[:1], path, hint)
    tables = [_read_sets(path, columns) for path in complete]
    return pd.concat(tables, ignore_index=True) if tables else None


def _read_sets(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = read_table(path)
    set_column = column(table, _SET_COLUMNS)
    renamed = table[[str(column(table, [name])) for name in columns]].set_axis([*columns], axis=1)
    return renamed.assign(**{SET: table[set_column] if set_column else _set_of(path)})


def _lacking(path: Path, columns: Sequence[str]) -> list[str]:
    """Those of ``columns`` that a table does not have."""
    names = headers(path)
    if not any(names) and _set_of(path):
        read_table(path)  # says why it is none
    head = pd.DataFrame(columns=names)
    return [name for name in columns if column(head, [name]) is None]


def _set_of(path: Path) -> str:
    """The set that a file's name ends in, or a blank."""
    last = path.name.split(".")[0].rpartition("_")[2]
    return set_name(last) or ""
