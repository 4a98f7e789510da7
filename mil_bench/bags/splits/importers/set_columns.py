"""One CSV per fold with a column per set: CLAM ``splits_k.csv`` and ``_bool.csv``, TransMIL,
MIL_BASELINE.

Columns are ragged (a short one is padded with blanks), and label columns beside them are ignored.
"""

from __future__ import annotations

import pandas as pd

from mil_bench.bags.splits.importers.listing import Listing
from mil_bench.contract.split import SETS


def read(table: pd.DataFrame) -> Listing | None:
    """The fold in ``table`` (text cells, blank for missing), or ``None`` if not of this form."""
    if "train_slide_path" in table:
        return Listing("mil_baseline", (_columns(table, "_slide_path"),))
    if not {"train", "test"} <= set(table.columns):
        return None
    if _is_bool(table):
        return Listing("clam", (_marked(table),))
    return Listing("transmil" if "train_label" in table else "clam", (_columns(table, ""),))


def _columns(table: pd.DataFrame, suffix: str) -> dict[str, list[str]]:
    present = [name for name in SETS if name + suffix in table]
    return {name: [cell for cell in table[name + suffix] if cell] for name in present}


def _is_bool(table: pd.DataFrame) -> bool:
    cells = {cell.lower() for name in SETS if name in table for cell in table[name]}
    return cells <= {"true", "false"}


def _marked(table: pd.DataFrame) -> dict[str, list[str]]:
    slides = table.iloc[:, 0]
    present = [name for name in SETS if name in table]
    return {name: list(slides[table[name].str.lower() == "true"]) for name in present}
