"""Find out what wrote a split file or folder, and read it."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pandas as pd

from mil_bench.bags.labels.tables import read_table
from mil_bench.bags.splits.importers import hmil, set_columns, slide_rows, stamp
from mil_bench.bags.splits.importers.listing import Listing
from mil_bench.base.errors import SplitError

# One file per fold, in the order of preference; the group is the number of the fold.
NUMBERED = {
    "CLAM splits_k.csv": re.compile(r"splits_(\d+)\.csv"),
    "CLAM splits_k_bool.csv": re.compile(r"splits_(\d+)_bool\.csv"),
    "TransMIL fold{k}.csv": re.compile(r"fold_?(\d+)\.csv"),
    "MIL_BASELINE _{k}fold.csv": re.compile(r".*_(\d+)fold\.csv"),
}
WHOLE = ("k=all.tsv", "splits.csv", "splits.json")  # Patho-Bench, torchmil, STAMP
FORMS = (
    "CLAM splits_k.csv, Patho-Bench k=all.tsv, HMIL {set}_splits_{k}.pkl, TransMIL, MIL_BASELINE, "
    "torchmil, STAMP splits.json, or a CSV with the columns slide_id,split or slide_id,fold_0,..."
)


def read_listing(path: Path) -> Listing:
    """Read a split file, or a folder with one file per fold; ``SplitError`` says what is wrong."""
    return _read_folder(path) if path.is_dir() else _read_file(path)


def _read_file(path: Path) -> Listing:
    pickled = hmil.NAME.fullmatch(path.name)
    if pickled:
        siblings = _pickles(path.parent)[pickled["prefix"] or ""]
        return hmil.read_folds({0: siblings[int(pickled["fold"])]})
    if path.suffix == ".json":
        return stamp.read(path)
    table = _read_table(path)
    listing = set_columns.read(table) or slide_rows.read(table, str(path))
    if listing is None:
        raise SplitError(f"{path} has the columns {list(table.columns)}; expected {FORMS}.")
    return listing


def _read_folder(folder: Path) -> Listing:
    pickles = _pickles(folder)
    if len(pickles) > 1:
        raise SplitError(
            f"{folder} holds HMIL splits of several datasets ({', '.join(sorted(pickles))}); put "
            "those of one dataset into a separate folder."
        )
    for files in pickles.values():
        _check_numbers(folder, list(files))
        return hmil.read_folds(files)
    for form, name in NUMBERED.items():
        numbered = [(int(m[1]), p) for p in folder.iterdir() if (m := name.fullmatch(p.name))]
        if numbered:
            return _join(folder, form, sorted(numbered))
    whole = [folder / name for name in WHOLE if (folder / name).is_file()]
    if len(whole) == 1:
        return _read_file(whole[0])
    found = [p.name for p in whole] or sorted(p.name for p in folder.iterdir())[:5]
    raise SplitError(f"the folder {folder} holds {found or 'nothing'}; expected one of {FORMS}.")


def _pickles(folder: Path) -> dict[str, dict[int, dict[str, Path]]]:
    """Prefix -> fold -> set -> file."""
    found: dict[str, dict[int, dict[str, Path]]] = defaultdict(lambda: defaultdict(dict))
    for path in folder.iterdir():
        match = hmil.NAME.fullmatch(path.name)
        if match:
            found[match["prefix"] or ""][int(match["fold"])][match["set"]] = path
    return found


def _join(folder: Path, form: str, numbered: list[tuple[int, Path]]) -> Listing:
    _check_numbers(folder, [number for number, _ in numbered])
    listings = [_read_file(path) for _, path in numbered]
    if any(len(listing.folds) != 1 for listing in listings):
        raise SplitError(f"a file of {folder} holds several folds; expected one each ({form}).")
    return Listing(listings[0].origin, tuple(fold for one in listings for fold in one.folds))


def _check_numbers(folder: Path, numbers: list[int]) -> None:
    """A gap would shift the numbers of the folds behind it."""
    first = min(numbers)
    if first > 1 or sorted(numbers) != list(range(first, first + len(numbers))):
        raise SplitError(
            f"{folder} holds the folds {sorted(numbers)}; expected each number once, without gaps, "
            "from 0 or 1. Add the missing files, or pass the path of one file."
        )


def _read_table(path: Path) -> pd.DataFrame:
    """All cells as text, blank for missing; column names in lower case."""
    return read_table(path).rename(columns=str.lower)
