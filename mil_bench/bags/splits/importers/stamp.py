"""STAMP's ``splits.json``: ``{"splits": [{"train_patients": [...], "test_patients": [...]}]}``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mil_bench.bags.splits.importers.listing import Listing
from mil_bench.base.errors import SplitError
from mil_bench.contract.split import SETS


def read(path: Path) -> Listing:
    """The folds, in patients. Raises ``SplitError`` when the file has another form."""
    try:
        folds = tuple(_fold(split) for split in json.loads(path.read_bytes())["splits"])
    except OSError as error:
        raise SplitError(f"cannot read {path}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SplitError(
            f"{path} is not a STAMP split file; expected "
            '{"splits": [{"train_patients": [...], "test_patients": [...]}]}.'
        ) from None
    return Listing("stamp", folds, patients=True)


def _fold(split: dict[str, Any]) -> dict[str, list[str]]:
    keys = {name: f"{name}_patients" for name in SETS}
    return {name: [str(p) for p in split[key]] for name, key in keys.items() if key in split}
