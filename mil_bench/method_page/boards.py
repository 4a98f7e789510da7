"""What boards say of one method."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mil_bench.method_page.markdown import table

SCORES = {
    "coverage": "runs",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
    "macro_f1": "macro F1",
}


def board_rows(name: str, boards: Path, page: Path) -> Iterator[str]:
    """Lines of a page in the folder ``page``: a table per board under ``boards`` with ``name``."""
    for file in sorted(boards.glob("*/**/overall.csv")):
        with file.open(newline="", encoding="utf-8") as lines:
            own = [row for row in csv.DictReader(lines) if row["method"] == name]
        if own:
            where = file.parent.relative_to(boards.parent).as_posix()
            link = Path(os.path.relpath(file.parent, page)).as_posix()
            known = {key: title for key, title in SCORES.items() if key in own[0]}
            rows = [[row.get("variant", ""), *(_short(row[key]) for key in known)] for row in own]
            yield from [f"[`{where}`]({link}):", ""]
            yield from [*table(["variant", *known.values()], rows), ""]


def _short(number: str) -> str:
    return f"{float(number):.3f}" if re.fullmatch(r"\d+\.\d+", number) else number
