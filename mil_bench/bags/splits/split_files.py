"""Split files and folders of any tool: find out what wrote them, and read them."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from mil_bench.bags.labels.tables import read_table
from mil_bench.bags.splits.split_formats import (
    HMIL_NAME,
    Listing,
    read_hmil,
    read_set_columns,
    read_slide_rows,
    read_stamp,
)
from mil_bench.base.errors import SplitError

# One file per fold, in the order of preference; the group is the number of the fold.
NUMBERED = {
    "CLAM splits_k.csv": re.compile(r"splits_(\d+)\.csv"),
    "CLAM splits_k_bool.csv": re.compile(r"splits_(\d+)_bool\.csv"),
    "TransMIL fold{k}.csv": re.compile(r"fold_?(\d+)\.csv"),
    "MIL_BASELINE _{k}fold.csv": re.compile(r".*_(\d+)fold\.csv"),
}
ALL_FOLDS = ("k=all.tsv", "splits.csv", "splits.json")  # Patho-Bench, torchmil, STAMP
FORMS = (
    "CLAM splits_k.csv, Patho-Bench k=all.tsv, HMIL {set}_splits_{k}.pkl, TransMIL, MIL_BASELINE, "
    "torchmil, STAMP splits.json, or a CSV with the columns slide_id,split or slide_id,fold_0,..."
)


def read_listing(path: Path) -> Listing:
    """Read a split file, or a folder with one file per fold. Raises ``SplitError``."""
    return _read_folder(path) if path.is_dir() else _read_file(path)


def _read_folder(folder: Path) -> Listing:
    pickles = _pickles(folder)
    if len(pickles) > 1:
        raise SplitError(
            f"{folder} holds HMIL splits of several datasets ({', '.join(sorted(pickles))}); put "
            "those of one dataset into a separate folder."
        )
    for files in pickles.values():
        _check_numbers(folder, list(files))
        return read_hmil(files)
    for form, name in NUMBERED.items():
        numbered = [(int(m[1]), p) for p in folder.iterdir() if (m := name.fullmatch(p.name))]
        if numbered:
            return _join(folder, form, sorted(numbered))
    candidates = [folder / name for name in ALL_FOLDS if (folder / name).is_file()]
    if len(candidates) == 1:
        return _read_file(candidates[0])
    names = [p.name for p in candidates] or sorted(p.name for p in folder.iterdir())[:5]
    raise SplitError(f"the folder {folder} holds {names or 'nothing'}; expected one of {FORMS}.")


def _read_file(path: Path) -> Listing:
    pickled = HMIL_NAME.fullmatch(path.name)
    if pickled:
        siblings = _pickles(path.parent)[pickled["prefix"] or ""]
        return read_hmil({0: siblings[int(pickled["fold"])]})
    if path.suffix == ".json":
        return read_stamp(path)
    table = read_table(path).rename(columns=str.lower)
    listing = read_set_columns(table) or read_slide_rows(table, str(path))
    if listing is None:
        raise SplitError(f"{path} has the columns {list(table.columns)}; expected {FORMS}.")
    return listing


def _pickles(folder: Path) -> dict[str, dict[int, dict[str, Path]]]:
    """Prefix -> fold -> set -> file."""
    files: dict[str, dict[int, dict[str, Path]]] = defaultdict(lambda: defaultdict(dict))
    for path in folder.iterdir():
        match = HMIL_NAME.fullmatch(path.name)
        if match:
            files[match["prefix"] or ""][int(match["fold"])][match["set"]] = path
    return files


def _join(folder: Path, form: str, numbered: list[tuple[int, Path]]) -> Listing:
    _check_numbers(folder, [number for number, _ in numbered])
    listings = [_read_file(path) for _, path in numbered]
    if any(len(listing.folds) != 1 for listing in listings):
        raise SplitError(f"a file of {folder} holds several folds; expected one each ({form}).")
    folds = tuple(fold for listing in listings for fold in listing.folds)
    return Listing(listings[0].origin, folds)


def _check_numbers(folder: Path, numbers: list[int]) -> None:
    """Refuse a gap, which would shift the numbers of the folds behind it."""
    first = min(numbers)
    if first > 1 or sorted(numbers) != list(range(first, first + len(numbers))):
        raise SplitError(
            f"{folder} holds the folds {sorted(numbers)}; expected each number once, without gaps, "
            "from 0 or 1. Add the missing files, or pass the path of one file."
        )
