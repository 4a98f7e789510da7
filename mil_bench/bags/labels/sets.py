"""Labels that come as a table per set: ``train.csv``, ``val.csv``, ``test.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mil_bench.bags.labels.files import column, headers, read_table, require, tables_in
from mil_bench.bags.splits.split import set_name

SET = "set"
_TOLD = ("split", "set", "split_info", "dataset_split")


def read_sets(root: Path, columns: Sequence[str]) -> pd.DataFrame | None:
    """All tables of ``root`` that have ``columns``, one below the other; ``None`` without any.

    The result has ``columns`` first, under these names, then :data:`SET`: what a column ``split``
    says, else the set that ends the file's name (``train.csv``, ``tcga-ot_train.csv``), else blank.
    Raises ``DataError`` for a table of a set that cannot be read, and for one that lacks a column
    and is of a set or the only one.
    """
    lacking = {
        path: _lacking(path, columns) for path in tables_in(root) if path.suffix.lower() != ".xlsx"
    }
    whole = [path for path, names in lacking.items() if not names]
    for path, names in lacking.items():
        if 0 < len(names) <= len(columns) / 2 and (_set_of(path) or not whole):
            hint = "Rename the column, or take the file away when it is none of these lists."
            require(read_table(path), names[:1], path, hint)
    tables = [_read(path, columns) for path in whole]
    return pd.concat(tables, ignore_index=True) if tables else None


def _read(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    table = read_table(path)
    told = column(table, _TOLD)
    own = table[[str(column(table, [name])) for name in columns]].set_axis([*columns], axis=1)
    return own.assign(**{SET: table[told] if told else _set_of(path)})


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
