"""Tables with a row per slide: what mil-bench writes, Patho-Bench, torchmil, Kaggle folds.

``slide_id, fold_0, fold_1...``  cells train, val, test (mil-bench, Patho-Bench ``k=all.tsv``)
``slide_id, split``              one fold (torchmil ``bag_name,split``; ``Set`` of BRACS)
``slide_id, fold``               the number of the fold that tests the slide
"""

from __future__ import annotations

import re

import pandas as pd

from mil_bench.bags.splits.importers.listing import Listing, by_set
from mil_bench.base.errors import SplitError

SLIDE_COLUMNS = ("slide_id", "bag_name", "image_id", "wsi_id", "wsi filename", "slide")
SET_COLUMNS = ("split", "set", "split_info")
NUMBER_COLUMNS = ("fold", "kfold", "fold_id")
_FOLD = re.compile(r"fold_?(\d+)")


def read(table: pd.DataFrame, where: str) -> Listing | None:
    """The folds in ``table`` (text cells, blank for missing), or ``None`` if not of this form."""
    slides = next((list(table[c]) for c in SLIDE_COLUMNS if c in table), None)
    if slides is None:
        return None
    origin = "patho-bench" if "case_id" in table else "csv"
    columns = {int(m[1]): m[0] for c in table.columns if (m := _FOLD.fullmatch(c))}
    if columns:
        names = [columns[number] for number in sorted(columns)]
        folds = [by_set(slides, list(table[c]), f"{where}, column {c}") for c in names]
        return Listing(origin, tuple(folds))
    for column in SET_COLUMNS:
        if column in table:
            sets = by_set(slides, list(table[column]), f"{where}, column {column}")
            return Listing("torchmil" if "bag_name" in table else "csv", (sets,))
    for column in NUMBER_COLUMNS:
        if column in table:
            return Listing("csv", _numbered(slides, list(table[column]), f"{where}, {column}"))
    return None


def _numbered(slides: list[str], cells: list[str], where: str) -> tuple[dict[str, list[str]], ...]:
    """Fold ``k`` is tested in turn and fold ``k + 1`` validates, as in our own K-fold."""
    try:
        numbers = [int(float(cell)) for cell in cells]
    except ValueError:
        raise SplitError(f"{where} must be the number of a fold in every row; fill it.") from None
    order = sorted(set(numbers))
    if len(order) < 3:
        raise SplitError(f"{where} numbers {len(order)} folds; expected at least three.")
    folds = []
    for k, test in enumerate(order):
        names = {test: "test", order[(k + 1) % len(order)]: "val"}
        folds.append(by_set(slides, [names.get(n, "train") for n in numbers], where))
    return tuple(folds)
