"""The record of a search: its cost and its runs, the provenance that boards show.

Its file is ``<runs>/<dataset>/<method>/tuning-<study>.json``. A run key
does not depend on it: the same settings are the same experiment, however they were found.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from mil_bench.base.atomic import write_json
from mil_bench.base.errors import DataError
from mil_bench.base.formats import TUNING_RECORD, format_of


class TuningRecord(BaseModel):
    """One search and the runs of its outcome.

    ``family`` is shared by searches that differ only in their folds: together they are one row of
    a board. ``hours`` is the time of all trials, summed over processes. ``default`` and
    ``tuned`` are keys of runs.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    dataset: str
    method: str
    study: str
    family: str
    scope: Literal["fold", "folds", "shared"]
    folds: tuple[int, ...]
    objective: str
    trials: int
    failed: int
    pruned: int
    hours: float
    best: dict[str, bool | int | float | str | None]
    default: tuple[str, ...]
    tuned: tuple[str, ...]

    def save(self, runs: Path) -> Path:
        """Write the record next to the runs; it replaces an older one of the same study."""
        digest = self.study.rpartition("-")[2]  # the study's name ends in its digest
        path = runs / self.dataset / self.method / f"tuning-{digest}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, self.model_dump(mode="json"))
        return path


def read_tunings(runs: Path) -> list[TuningRecord]:
    """Return every record under ``runs``. Raises ``DataError`` for a damaged or newer one."""
    records = []
    for path in sorted(runs.glob("[!.]*/*/tuning-*.json")):  # not in hidden folders
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            format_of(content if isinstance(content, dict) else {}, TUNING_RECORD, str(path))
            records.append(TuningRecord(**content))
        except (OSError, ValueError, RecursionError, TypeError, ValidationError) as error:
            first = str(error).partition("\n")[0]
            raise DataError(
                f"{path} is not a record of a search ({first}); rerun the command of that search "
                "to write it again."
            ) from None
    return records
