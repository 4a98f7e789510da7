"""HMIL's ``{train,val,test}_splits_{k}.pkl``: pickled lists of ``[slide_id, label, path]``.

A pickle can run code through the globals it names. These hold only lists and strings, so the
unpickler refuses every global.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any, NoReturn

from mil_bench.bags.splits.importers.listing import Listing
from mil_bench.base.errors import SplitError

# The published names, or with the dataset in front: BRACS_test_splits_0.pkl.
NAME = re.compile(r"(?P<prefix>.*_)?(?P<set>train|val|test)_splits_(?P<fold>\d+)\.pkl")


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> NoReturn:
        raise SplitError(
            f"it loads {module}.{name}, which could run code; expected only lists of text"
        )


def read_folds(files: dict[int, dict[str, Path]]) -> Listing:
    """Folds from files by fold number and set; sets without a file stay absent."""
    folds = [{name: _slides(path) for name, path in files[k].items()} for k in sorted(files)]
    return Listing("hmil", tuple(folds))


def _slides(path: Path) -> list[str]:
    rows = _load(path)
    if not isinstance(rows, list) or not all(_is_row(row) for row in rows):
        raise SplitError(f"{path} is not a list of [slide_id, label, path]; expected HMIL's form.")
    return [row[0] for row in rows]


def _load(path: Path) -> Any:
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
