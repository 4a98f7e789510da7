"""Versions of stored formats: which one a file states, and whether this version can read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mil_bench.base.errors import DataError

FORMAT: Final = "format"
"""The key under which a stored file states the version of its format."""
RUN_FOLDER: Final = 2
"""Format of run folders. 2: ``result.json`` holds the SHA-256 of ``predictions.csv``."""
FEATURES_LOCK: Final = 1
TUNING_RECORD: Final = 1
PLAN: Final = 1
BUNDLE: Final = 1
PROTOCOL: Final = 1
EXPORT: Final = 1


def format_of(content: Mapping[str, Any], newest: int, what: str) -> int:
    """Return the format version that ``content`` states, 1 where it states none.

    ``newest`` is the highest version that this mil-bench reads; ``what`` names the file. Raises
    ``DataError`` for a newer one, and for a value that is not a version.
    """
    version = content.get(FORMAT, 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise DataError(
            f"{what} states the format {version!r}; expected a whole number from 1 to {newest}."
        )
    if version > newest:
        raise DataError(
            f"{what} was written by a newer mil-bench (format {version}; this version reads up to "
            f"{newest}); upgrade mil-bench."
        )
    return version
