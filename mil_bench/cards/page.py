"""The page of a method: Markdown drawn from its card, its figure, cost and rows on boards."""

from __future__ import annotations

import csv
import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mil_bench.base.atomic import write_text
from mil_bench.base.error_location import place_of
from mil_bench.base.errors import MilBenchError, RunError, counted
from mil_bench.boards.formats.grid import NONE
from mil_bench.cards import cost
from mil_bench.cards.steps_figure import steps_figure
from mil_bench.contract.card import Cost, MethodCard, MethodChange, Setting, as_set
from mil_bench.methods import METHODS

BASE = "abmil"
"""The method that the figures of all others are marked against."""


def page(card: MethodCard, boards: Sequence[str]) -> str:
    """Return everything about one method; ``boards`` are the lines of its board rows."""
    paper = card.paper
    about = [f"# {card.name}", "", f"{paper.title}. {paper.venue}, {paper.year}. <{card.link}>"]
    if paper.code:
        about += ["", f"Official code: {paper.code}."]
    parts: list[tuple[str, Sequence[str]]] = [
        ("What it computes", [of_docstring(card.about), *_figure(card)]),
        ("Differences, and why", [f"- {line}" for line in paper.differs]),
        ("Measured choices", ["```", *paper.measured, "```"] if paper.measured else []),
        ("Settings", [of_docstring(card.settings_about), "", *settings_table(card.settings)]),
        ("Recipe", [_recipe(card.recipe)]),
        ("What `mil-bench ablate` changes", changes_table(card.changes)),
        ("Cost", _cost(card)),
        ("On the boards", boards),
    ]
    sections = [[f"## {title}", "", *lines, ""] for title, lines in parts if lines]
    # Sections without content are left out.
    return "\n".join([*about, "", *(line for section in sections for line in section)])


def _figure(card: MethodCard) -> list[str]:
    if not card.paper.steps:
        return []
    marked = f"Shaded, with a thick outline: what differs from `{BASE}`."
    caption = "The figures of the other methods mark what differs from this one."
    image = f"![The steps of {card.name}]({card.name}.svg)"
    return ["", image, "", caption if card.name == BASE else marked]


def settings_table(settings: Sequence[Setting]) -> list[str]:
    """Return every setting with its default, its values and its search range."""
    rows = [[f"`{s.name}`", as_set(s.default), ", ".join(s.values), s.searched] for s in settings]
    return table(["setting", "default", "values", "searched"], rows)


def changes_table(changes: Sequence[MethodChange]) -> list[str]:
    """Return everything that ``mil-bench ablate`` changes, with the settings that do it."""
    rows = [[f"`{c.name}`", c.kind, c.title, ", ".join(_pairs(c.overrides))] for c in changes]
    return table(["name", "kind", "what it is", "settings (of a component: without it)"], rows)


def _recipe(recipe: Mapping[str, Any]) -> str:
    return f"{', '.join(_pairs(recipe))}." if recipe else "The trainer's defaults."


def _pairs(settings: Mapping[str, Any]) -> list[str]:
    return [f"`{key}={as_set(value)}`" for key, value in settings.items()]


def _cost(card: MethodCard) -> list[str]:
    if card.cost is None:
        return []
    return [*table(card.cost.header, [card.cost.cells]), "", card.cost.note]


def of_docstring(doc: str) -> str:
    """Return a docstring as Markdown; names set out in a column become a list."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", inspect.cleandoc(doc))
    return re.sub(r"^(`[^`]+`) {2,}", r"- \1: ", text.replace("``", "`"), flags=re.MULTILINE)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table; none where there are no rows."""
    if not rows:
        return []
    ruled = [header, ["---"] * len(header), *rows]
    # A bar would end a cell.
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in ruled]


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
    files[f"{card.name}.md"] = page(replace(card, cost=_measured_cost(card.name)), lines)
    out.mkdir(parents=True, exist_ok=True)  # after all texts: an error leaves no half page
    for file, text in files.items():
        write_text(out / file, text)
    return [out / file for file in files]


def _measured_cost(name: str) -> Cost:
    try:
        return Cost(cost.HEADER, tuple(cost.cells(METHODS.get(name))), MEASURED)
    except MilBenchError:  # its sentence says enough
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
BoardLine = Mapping[str, str]


def boards_in(boards: Path) -> Iterator[tuple[Path, list[BoardLine]]]:
    """Yield the folder and the rows of every board under ``boards``."""
    # Tables of boards, at any depth below the kind.
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
            yield from [f"[`{where}`]({link_to(folder, page)}), {counted(len(rows), 'row')}:", ""]
            yield from [*table(head, [_cells(row, scores) for row in own]), ""]


def plain_score(name: str, rows: Sequence[BoardLine]) -> str:
    """Return the balanced accuracy of the method without a variant; empty if it is missing."""
    # Role rows have a variant.
    own = [row for row in rows if row["method"] == name and not row["variant"]]
    return _score(own[0], "balanced_accuracy") if own else ""


def link_to(folder: Path, page: Path) -> str:
    """Return the relative link from a page in the folder ``page``."""
    return Path(os.path.relpath(folder, page)).as_posix()


def _cells(row: BoardLine, scores: Mapping[str, str]) -> list[str]:
    place = [row.get("tier") or NONE, _rank(row)]
    return [row["variant"], *place, *(_score(row, key) for key in scores), row["coverage"]]


def _rank(row: BoardLine) -> str:
    """``4 [3, 9]``; a control or a row with missing runs has no rank."""
    rank, low, high = (row.get(key, "") for key in ("rank", "rank_low", "rank_high"))
    if not rank:
        return NONE
    return f"{rank} [{low}, {high}]" if low != high else rank


def _score(row: BoardLine, key: str) -> str:
    """``64.0 [60.8, 67.4]``."""
    value, low, high = (row.get(name, "") for name in (key, f"{key}_low", f"{key}_high"))
    if not value:
        return NONE
    ends = f" [{100 * float(low):.1f}, {100 * float(high):.1f}]" if low else ""
    return f"{100 * float(value):.1f}{ends}"
