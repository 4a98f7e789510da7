"""Contents of split files of other tools, a reader per form; each returns a :class:`Listing`."""

from __future__ import annotations

import json
import pickle
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import pandas as pd

from mil_bench.base.errors import SplitError, counted
from mil_bench.contract.sets import SETS, set_name


@dataclass(frozen=True)
class Listing:
    """Content of a split file, before its ids are matched with a dataset.

    ``origin`` is the writer (``clam``). ``folds`` hold ``train``, ``val`` or ``test`` -> ids as
    written; a set that the file leaves out is absent. ``patients``: the ids are patients, not
    slides.
    """

    origin: str
    folds: tuple[Mapping[str, list[str]], ...]
    patients: bool = False


# One CSV per fold with a column per set: CLAM splits_k.csv and _bool.csv, TransMIL, MIL_BASELINE.
# Columns are ragged (a short one is padded with blanks); label columns beside them are ignored.


def read_set_columns(table: pd.DataFrame) -> Listing | None:
    """Read the fold in ``table`` (text cells, blank for missing), if it has this form."""
    if "train_slide_path" in table:  # MIL_BASELINE's columns, beyond doubt
        return Listing("mil_baseline", (_columns(table, "_slide_path"),))
    if not {"train", "test"} <= set(table.columns):
        return None
    if _is_bool(table):
        return Listing("clam", (_marked(table),))
    # A label per set is TransMIL's.
    return Listing("transmil" if "train_label" in table else "clam", (_columns(table, ""),))


def _columns(table: pd.DataFrame, suffix: str) -> dict[str, list[str]]:
    present = [name for name in SETS if name + suffix in table]
    return {name: [cell for cell in table[name + suffix] if cell] for name in present}


def _is_bool(table: pd.DataFrame) -> bool:
    cells = {cell.lower() for name in SETS if name in table for cell in table[name]}
    return cells <= {"true", "false"}


def _marked(table: pd.DataFrame) -> dict[str, list[str]]:
    slides = table.iloc[:, 0]
    present = [name for name in SETS if name in table]  # only the sets with a column
    return {name: list(slides[table[name].str.lower() == "true"]) for name in present}


# Tables with a row per slide: mil-bench's own, Patho-Bench, torchmil, Kaggle folds.

SLIDE_COLUMNS = ("slide_id", "bag_name", "image_id", "wsi_id", "wsi filename", "slide")
SET_COLUMNS = ("split", "set", "split_info")
NUMBER_COLUMNS = ("fold", "kfold", "fold_id")
_FOLD = re.compile(r"fold_?(\d+)")


def read_slide_rows(table: pd.DataFrame, where: str) -> Listing | None:
    """Read the folds in ``table`` (text cells, blank for missing), if it has one of these forms.

    ``slide_id, fold_0, fold_1...``  cells train, val, test (mil-bench, Patho-Bench ``k=all.tsv``)
    ``slide_id, split``              one fold (torchmil ``bag_name,split``; ``Set`` of BRACS)
    ``slide_id, fold``               the number of the fold that tests the slide
    """
    slides = next((list(table[c]) for c in SLIDE_COLUMNS if c in table), None)
    if slides is None:
        return None
    origin = "patho-bench" if "case_id" in table else "csv"
    # fold_10 behind fold_9.
    columns = {int(m[1]): m[0] for c in table.columns if (m := _FOLD.fullmatch(c))}
    if columns:
        names = [columns[number] for number in sorted(columns)]
        folds = [_by_set(slides, list(table[c]), f"{where}, column {c}") for c in names]
        return Listing(origin, tuple(folds))
    for column in SET_COLUMNS:
        if column in table:
            sets = _by_set(slides, list(table[column]), f"{where}, column {column}")
            return Listing("torchmil" if "bag_name" in table else "csv", (sets,))
    for column in NUMBER_COLUMNS:
        if column in table:
            return Listing("csv", _numbered(slides, list(table[column]), f"{where}, {column}"))
    return None


def _by_set(ids: list[str], cells: list[str], where: str) -> dict[str, list[str]]:
    """Ids grouped by the set in ``cells``; a blank cell leaves the id out."""
    sets: dict[str, list[str]] = {}
    for slide, cell in zip(ids, cells, strict=True):
        if cell:  # blank: in no set of this fold
            name = set_name(cell)
            if name is None:
                raise SplitError(f"{where} holds the set {cell!r}; expected train, val or test.")
            sets.setdefault(name, []).append(slide)
    return sets


def _numbered(slides: list[str], cells: list[str], where: str) -> tuple[dict[str, list[str]], ...]:
    """Folds tested in the order of their numbers; the next fold validates, as in our K-fold."""
    try:
        numbers = [int(float(cell)) for cell in cells]  # pandas wrote whole numbers as floats
    except ValueError:
        raise SplitError(f"{where} must be the number of a fold in every row; fill it.") from None
    order = sorted(set(numbers))
    if len(order) < 3:
        raise SplitError(f"{where} numbers {counted(len(order), 'fold')}; expected at least three.")
    folds = []
    for k, test in enumerate(order):
        names = {test: "test", order[(k + 1) % len(order)]: "val"}  # as in kfold
        folds.append(_by_set(slides, [names.get(n, "train") for n in numbers], where))
    return tuple(folds)


# HMIL's {train,val,test}_splits_{k}.pkl: pickled lists of [slide_id, label, path].

# The published names, or with the dataset in front: BRACS_test_splits_0.pkl.
HMIL_NAME = re.compile(r"(?P<prefix>.*_)?(?P<set>train|val|test)_splits_(?P<fold>\d+)\.pkl")


class _PlainUnpickler(pickle.Unpickler):
    """Unpickler of plain lists and text.

    A pickle can run code through the globals that it names, and these files need none.
    """

    def find_class(self, module: str, name: str) -> NoReturn:
        # Called for every global that the pickle names.
        raise SplitError(
            f"it loads {module}.{name}, which could run code; expected only lists of text"
        )


def read_hmil(files: Mapping[int, Mapping[str, Path]]) -> Listing:
    """Read the folds from files by number and set; sets without a file stay absent."""
    folds = [{name: _slides(path) for name, path in files[k].items()} for k in sorted(files)]
    return Listing("hmil", tuple(folds))


def _slides(path: Path) -> list[str]:
    rows = _unpickled(path)
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise SplitError(f"{path} is not a list of [slide_id, label, path]; expected HMIL's form.")
    return [row[0] for row in rows]


def _unpickled(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            return _PlainUnpickler(file).load()
    except SplitError as error:
        raise SplitError(f"{path} is refused: {error}.") from None
    except OSError as error:
        raise SplitError(f"cannot read {path}: {error.strerror}.") from None
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise SplitError(
            f"{path} is damaged or not a pickle ({type(error).__name__}); copy it again."
        ) from None


def _is_row(row: object) -> bool:
    return isinstance(row, list | tuple) and bool(row) and isinstance(row[0], str)


# STAMP's splits.json: {"splits": [{"train_patients": [...], "test_patients": [...]}]}.


def read_stamp(path: Path) -> Listing:
    """Read the folds, in patients. Raises ``SplitError`` when the file has another form."""
    try:
        folds = tuple(_patients(split) for split in json.loads(path.read_bytes())["splits"])
    except OSError as error:
        raise SplitError(f"cannot read {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SplitError(
            f"{path} is not a STAMP split file; expected "
            '{"splits": [{"train_patients": [...], "test_patients": [...]}]}.'
        ) from None
    return Listing("stamp", folds, patients=True)


def _patients(split: dict[str, Any]) -> dict[str, list[str]]:
    keys = {name: f"{name}_patients" for name in SETS}
    return {name: [str(p) for p in split[key]] for name, key in keys.items() if key in split}
