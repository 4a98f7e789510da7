"""Writing the page of a method, with its figure and what it costs."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mil_bench.base.atomic import write_text
from mil_bench.base.error_location import place_of
from mil_bench.base.errors import MilBenchError, RunError
from mil_bench.boards.formats.grid import NONE
from mil_bench.cards import cost
from mil_bench.cards.page import BASE, page, table
from mil_bench.cards.steps_figure import steps_figure
from mil_bench.contract.method import Method
from mil_bench.methods import METHODS

MEASURED = (
    "Measured for this page: default options, 1,024 features, seven classes, one bag. FLOP are "
    "those of products and convolutions in a forward pass; growth is the exponent of N in all FLOP "
    "between the two largest bags."
)


def write_page(name: str, method: type[Method], out: Path, boards: Path) -> list[Path]:
    """Write ``<name>.md``, and ``<name>.svg`` where the card has steps, into ``out``; the paths.

    Raises ``UsageError`` for steps that do not fit their boxes and ``RunError`` for a method that
    cannot score the bags which its cost is counted on.
    """
    files = {}
    if method.paper.steps:
        files[f"{name}.svg"] = steps_figure(method.paper, METHODS.get(BASE).paper)
    files[f"{name}.md"] = page(name, method, _cost(name, method), _boards(name, boards, out))
    out.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        write_text(out / file, text)
    return [out / file for file in files]


def _boards(name: str, boards: Path, out: Path) -> list[str]:
    return list(board_rows(name, boards.resolve(), out.resolve()))


def _cost(name: str, method: type[Method]) -> list[str]:
    try:
        numbers = cost.cells(method)
    except MilBenchError:
        raise
    except Exception as error:
        raise RunError(
            f"the cost of {name} cannot be counted: {type(error).__name__}: "
            f"{' '.join(str(error).split())} ({place_of(error)}); `mil-bench check method` says "
            "more."
        ) from error
    return [*table(cost.HEADER, [numbers]), "", MEASURED]


# What boards say of one method.

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
