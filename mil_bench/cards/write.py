"""Writing the page of a method: its figure, its measured cost and its rows on boards."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mil_bench.base.atomic import write_text
from mil_bench.base.error_location import place_of
from mil_bench.base.errors import MilBenchError, RunError
from mil_bench.boards.formats.grid import NONE
from mil_bench.cards import cost
from mil_bench.cards.page import BASE, page, table
from mil_bench.cards.steps_figure import steps_figure
from mil_bench.contract.card import Cost, MethodCard
from mil_bench.methods import METHODS

MEASURED = (
    "Measured for this page: default settings, 1,024 features, seven classes, one bag. FLOP are "
    "those of products and convolutions in a forward pass; growth is the exponent of N in all FLOP "
    "between the two largest bags."
)


def write_page(card: MethodCard, out: Path, boards: Path) -> list[Path]:
    """Write ``<name>.md``, and ``<name>.svg`` if the card has steps, into ``out``; return paths.

    The cost is measured for the page. Raises ``UsageError`` for steps that do not fit their boxes
    and ``RunError`` for a method that cannot score the bags of the cost measurement.
    """
    files = {}
    if card.paper.steps:
        files[f"{card.name}.svg"] = steps_figure(card.paper, METHODS.get(BASE).paper)
    lines = list(board_rows(card.name, boards.resolve(), out.resolve()))
    files[f"{card.name}.md"] = page(replace(card, cost=_cost(card.name)), lines)
    out.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        write_text(out / file, text)
    return [out / file for file in files]


def _cost(name: str) -> Cost:
    try:
        return Cost(cost.HEADER, tuple(cost.cells(METHODS.get(name))), MEASURED)
    except MilBenchError:
        raise
    except Exception as error:
        raise RunError(
            f"The cost of {name} cannot be counted: {type(error).__name__}: "
            f"{' '.join(str(error).split())} ({place_of(error)}). Run `mil-bench check method "
            f"{name}` for details."
        ) from error


SCORES = {
    "balanced_accuracy": "balanced accuracy",
    "macro_auc": "macro AUC",
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
}
Row = Mapping[str, str]


def boards_in(boards: Path) -> Iterator[tuple[Path, list[Row]]]:
    """Yield the folder and the rows of every board under ``boards``."""
    for file in sorted(boards.glob("*/**/overall.csv")):
        with file.open(newline="", encoding="utf-8") as lines:
            yield file.parent, list(csv.DictReader(lines))


def board_rows(name: str, boards: Path, page: Path) -> Iterator[str]:
    """Yield the lines of a page in folder ``page``: a table per board under ``boards``.

    Scores are in per cent with their 95 % CI over patients, ranks with their range.
    """
    for folder, rows in boards_in(boards):
        own = [row for row in rows if row["method"] == name]
        if own:
            where = folder.relative_to(boards.parent).as_posix()
            scores = {key: title for key, title in SCORES.items() if key in own[0]}
            head = ["variant", "tier", "rank", *scores.values(), "runs"]
            yield from [f"[`{where}`]({link_to(folder, page)}), {len(rows)} rows:", ""]
            yield from [*table(head, [_cells(row, scores) for row in own]), ""]


def plain_score(name: str, rows: Sequence[Row]) -> str:
    """Return the balanced accuracy of the method without a variant; empty if it is missing."""
    own = [row for row in rows if row["method"] == name and not row["variant"]]
    return _score(own[0], "balanced_accuracy") if own else ""


def link_to(folder: Path, page: Path) -> str:
    """Return the relative link from a page in the folder ``page``."""
    return Path(os.path.relpath(folder, page)).as_posix()


def _cells(row: Row, scores: Mapping[str, str]) -> list[str]:
    place = [row.get("tier") or NONE, _rank(row)]
    return [row["variant"], *place, *(_score(row, key) for key in scores), row["coverage"]]


def _rank(row: Row) -> str:
    """``4 [3, 9]``; a control or a row with missing runs has no rank."""
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
