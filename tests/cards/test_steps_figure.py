"""The figure of a method marks what the base method does not have."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from mil_bench.base.errors import UsageError
from mil_bench.cards.steps_figure import steps_figure
from mil_bench.contract.method import PaperCard

SVG = "{http://www.w3.org/2000/svg}"


def card(steps: tuple[str, ...], losses: tuple[str, ...] = ("cross entropy",)) -> PaperCard:
    return PaperCard("Title", 2026, "venue", "https://example.org", steps=steps, losses=losses)


BASE = card(("project", "weighted mean", "classify"))


def boxes(text: str) -> list[str | None]:
    rects = ElementTree.fromstring(text).iter(f"{SVG}rect")
    return [rect.get("class") for rect in rects if rect.get("class")]


def words(text: str) -> list[str | None]:
    return [line.text for line in ElementTree.fromstring(text).iter(f"{SVG}text")]


def test_steps_and_losses_that_the_base_does_not_name_are_marked():
    drawn = steps_figure(card(("project", "sort", "classify"), ("cross entropy", "sort")), BASE)
    assert boxes(drawn) == [
        *("end", "shared", "own", "shared", "end"),
        *("end", "shared", "own"),
    ]


def test_the_base_itself_has_no_mark():
    assert "own" not in boxes(steps_figure(BASE, BASE))


def test_an_arrow_lies_between_any_two_steps_from_patches_to_prediction():
    drawn = ElementTree.fromstring(steps_figure(BASE, BASE))
    assert len(list(drawn.iter(f"{SVG}path"))) == 4


def test_words_are_broken_over_lines_and_escaped():
    drawn = steps_figure(card(("a < b & c, said in many words",)), BASE)
    assert words(drawn)[1:4] == ["a < b & c, said", "in many words", "prediction"]


@pytest.mark.parametrize("step", ["a step told in far more words than a box can hold", "x" * 17])
def test_words_that_do_not_fit_a_box_are_refused(step: str):
    with pytest.raises(UsageError, match="does not fit a box"):
        steps_figure(card((step,)), BASE)
