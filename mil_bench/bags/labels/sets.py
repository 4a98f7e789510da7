"""Labels that come as a table per set: ``train.csv``, ``val.csv``, ``test.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from mil_bench.bags.labels.files import column, headers, read_table, tables_in
from mil_bench.bags.splits.split import set_name

SET = "set"
_TOLD = ("split", "set", "split_info", "dataset_split")


def read_sets(root: Path, columns: Sequence[str]) -> pd.DataFrame | None:
    """All tables of ``root`` that have ``columns``, one below the other; ``None`` without any.

    The result has ``columns`` first, under these names, then :data:`SET`: what a column ``split``
    says, else the set that ends the file's name (``train.csv``, ``tcga-ot_train.csv``), else blank.
    """
    tables = []
    for path in tables_in(root):
        if path.suffix.lower() == ".xlsx" or not _has(headers(path), columns):
            continue
        table = read_table(path)
        told = column(table, _TOLD)
        own = table[[str(column(table, [name])) for name in columns]].set_axis([*columns], axis=1)
        tables.append(own.assign(**{SET: table[told] if told else _set_of(path)}))
    return pd.concat(tables, ignore_index=True) if tables else None


def _has(names: Sequence[str], columns: Sequence[str]) -> bool:
    head = pd.DataFrame(columns=list(names))
    return all(column(head, [name]) for name in columns)


def _set_of(path: Path) -> str:
    """The set that a file's name ends in, or a blank."""
    last = path.name.split(".")[0].rpartition("_")[2]
    return set_name(last) or ""
