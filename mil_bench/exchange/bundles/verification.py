"""``verified.toml``: what others have done to trust a bundle, kept beside it.

The levels are ``reported`` (numbers of a paper), ``scored`` (predictions scored here), ``repeated``
(a run trained again by someone else) and ``sealed`` (labels that the authors have never seen).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final, Literal

from mil_bench.base.atomic import write_text
from mil_bench.base.config import StrictConfig, build
from mil_bench.base.errors import ConfigError
from mil_bench.base.toml_text import toml_text

NAME: Final = "verified.toml"
LEVELS: Final = ("reported", "scored", "repeated", "sealed")
"""From the least to the most that is known."""
SCORED: Final = "scored"


class Verification(StrictConfig):
    """One act of verification: of the bundle with this ``sha256``, by whom and when.

    ``reported`` and ``repeated`` are balanced accuracies of ``run``, as fractions.
    """

    bundle: str
    sha256: str
    level: Literal["repeated", "sealed"]
    by: str
    date: str
    run: str = ""
    reported: float | None = None
    repeated: float | None = None
    processor: str = ""


def read_verifications(folder: Path) -> list[Verification]:
    """Return the records of ``verified.toml`` in ``folder``; none without that file.

    Raises ``ConfigError`` for a file that is not such a list.
    """
    path = folder / NAME
    if not path.is_file():
        return []
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}; correct it.") from None
    records = values.pop("verified", [])
    if values or not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
        raise ConfigError(f"{path} holds other keys than [[verified]]; remove them.")
    return [build(Verification, record, f"{path}, record {i}") for i, record in enumerate(records)]


def add_verification(folder: Path, record: Verification) -> Path:
    """Add ``record`` to ``verified.toml`` in ``folder`` and return the file's path."""
    path = folder / NAME
    # dict.fromkeys: the same act once.
    records = dict.fromkeys([*read_verifications(folder), record])
    values = [each.model_dump(mode="json", exclude_defaults=True) for each in records]
    write_text(path, toml_text({"verified": values}))
    return path


def level_of(sha256: str, records: Iterable[Verification]) -> str:
    """Return the highest level that ``records`` give the bundle with this hash."""
    levels = [record.level for record in records if record.sha256 == sha256]
    return max([SCORED, *levels], key=LEVELS.index)  # predictions are always scored here


def lowest(levels: Iterable[str]) -> str:
    """Return what holds for all of several runs; ``""``, runs of one's own, counts as scored."""
    return min((level or SCORED for level in levels), key=LEVELS.index, default=SCORED)
