"""What boards say of one method."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mil_bench.leaderboard.formats.text import NONE
from mil_bench.method_page.markdown import table

SCORES = {
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
}
Row = Mapping[str, str]


def boards_in(boards: Path) -> Iterator[tuple[Path, list[Row]]]:
    """The folder and the rows of every board under ``boards``."""
    for file in sorted(boards.glob("*/**/overall.csv")):
        with file.open(newline="", encoding="utf-8") as lines:
            yield file.parent, list(csv.DictReader(lines))


def board_rows(name: str, boards: Path, page: Path) -> Iterator[str]:
    """Lines of a page in the folder ``page``: a table per board under ``boards`` with ``name``.

    Scores are per cent with their 95 % intervals over patients, ranks with those that are open.
    """
    for folder, every in boards_in(boards):
        own = [row for row in every if row["method"] == name]
        if own:
            where = folder.relative_to(boards.parent).as_posix()
            known = {key: title for key, title in SCORES.items() if key in own[0]}
            head = ["variant", "tier", "rank", *known.values(), "runs"]
            yield from [f"[`{where}`]({link_to(folder, page)}), {len(every)} rows:", ""]
            yield from [*table(head, [_cells(row, known) for row in own]), ""]


def plain_score(name: str, rows: Sequence[Row]) -> str:
    """Balanced accuracy of the method without a variant, with its interval; empty if not there."""
    own = [row for row in rows if row["method"] == name and not row["variant"]]
    return _score(own[0], "balanced_accuracy") if own else ""


def link_to(folder: Path, page: Path) -> str:
    """From a page in the folder ``page``."""
    return Path(os.path.relpath(folder, page)).as_posix()


def _cells(row: Row, scores: Mapping[str, str]) -> list[str]:
    place = [row.get("tier") or NONE, _rank(row)]
    return [row["variant"], *place, *(_score(row, key) for key in scores), row["coverage"]]


def _rank(row: Row) -> str:
    """``4 [3, 9]``; a control or a row that lacks runs has none."""
    rank, low, high = (row.get(key, "") for key in ("rank", "rank_low", "rank_high"))
    if not rank:
        return NONE
    return f"{rank} [{low}, {high}]" if low != high else rank


def _score(row: Row, key: str) -> str:
    """``64.0 [60.8, 67.4]``."""
    value, low, high = (row.get(name, "") for name in (key, f"{key}_low", f"{key}_high"))
    if not value:
        return NONE
    ends = f" [{100 * float(low):.1f}, {100 * float(high):.1f}]" if low else ""
    return f"{100 * float(value):.1f}{ends}"
