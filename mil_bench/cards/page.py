"""The Markdown page of a method, drawn from its card."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from mil_bench.contract.card import Change, MethodCard, Setting, as_set

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


def changes_table(changes: Sequence[Change]) -> list[str]:
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
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in ruled]
