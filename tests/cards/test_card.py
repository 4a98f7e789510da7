"""One card: the terminal, the Markdown page and the page of boards draw the same facts."""

from __future__ import annotations

import dataclasses
import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from mil_bench.base.registry import OURS
from mil_bench.boards.page.data import cards
from mil_bench.cards.page import page
from mil_bench.cards.terminal import print_method
from mil_bench.contract.card import Cost, MethodCard
from mil_bench.methods import METHODS
from mil_bench.nn.headed import HeadedMethod

NAMES = [entry.name for entry in METHODS if entry.origin == OURS]


def card_of(name):
    return MethodCard.of(name, METHODS.get(name), METHODS.summary(name))


def on_terminal(card):
    text = io.StringIO()
    print_method(card, Console(file=text, width=400))
    return text.getvalue()


@pytest.mark.parametrize("name", NAMES)
def test_a_card_has_what_the_class_declares(name):
    card, method = card_of(name), METHODS.get(name)
    assert card.paper is method.paper
    assert [setting.name for setting in card.settings] == [*method.Config.model_fields]
    assert card.recipe == method.recipe
    changes = {change.name for change in card.changes}
    declared = method.ablations
    assert changes == {
        *declared.components,
        *declared.variants,
        *declared.controls,
        *declared.twins,
    }
    assert bool(card.heads) == issubclass(method, HeadedMethod)
    assert set(card.defaults) <= set(method.Config.model_fields)


@pytest.mark.parametrize("name", NAMES)
def test_all_three_drawings_have_the_facts_of_the_card(name):
    card = card_of(name)
    terminal, markdown = on_terminal(card), page(card, [])
    board = SimpleNamespace(rows=[SimpleNamespace(method=name)])
    html = cards([board])[name]
    for text in (card.paper.title, *card.paper.differs, *card.paper.measured):
        assert text in terminal
        assert text in markdown
    assert html["title"] == card.paper.title
    assert html["differs"] == card.paper.differs
    for setting in card.settings:
        assert setting.name in terminal
        assert f"| `{setting.name}` |" in markdown
    assert {key.partition(".")[0] for key in html["settings"]} == {*card.defaults}
    for change in card.changes:
        assert change.name in terminal
        assert f"| `{change.name}` | {change.kind} |" in markdown
    for key in card.recipe:
        assert f"{key}=" in terminal
        assert f"`{key}=" in markdown
        assert key in html["recipe"]


def test_the_cost_of_a_card_is_a_section_of_its_page():
    card = dataclasses.replace(card_of("abmil"), cost=Cost(("M",), ("0.5",), "Measured here."))
    assert "## Cost\n\n| M |\n| --- |\n| 0.5 |\n\nMeasured here.\n" in page(card, [])
    assert "## Cost" not in page(card_of("abmil"), [])
