"""Configurations: strict keys, typed values, search ranges."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import Field

from mil_bench.base.config import StrictConfig, build, search_space, tunable
from mil_bench.base.errors import ConfigError, UnknownNameError


class Example(StrictConfig):
    """A configuration with one field of every sort."""

    lr: float = tunable(1e-4, low=1e-5, high=1e-2, log=True, gt=0)
    gated: bool = True
    width: int = tunable(64, choices=(64, 128), ge=1)
    epochs: int = Field(5, ge=1)


class Several(StrictConfig):
    """Fields that take values of several kinds."""

    folds: Literal["all"] | list[int] = "all"
    head: Literal["flat", "multi"] | None = None


def test_strings_of_a_command_line_become_typed_values():
    made = build(Example, {"lr": "3e-4", "gated": "False", "width": "128"}, "method example")
    assert (made.lr, made.gated, made.width) == (3e-4, False, 128)


def test_an_undeclared_key_is_an_error_with_the_nearest_name():
    with pytest.raises(UnknownNameError, match=r"option 'wdth' of method example.*'width'"):
        build(Example, {"wdth": 3}, "method example")


@pytest.mark.parametrize(
    "values", [{"width": "wide"}, {"lr": -1}, {"epochs": 2.5}, {"gated": "maybe"}]
)
def test_a_wrong_value_is_one_sentence_that_names_key_and_value(values):
    ((key, value),) = values.items()
    with pytest.raises(ConfigError) as caught:
        build(Example, values, "method example")
    assert f"method example: {key}={value!r} is not valid" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"folds": "al"}, "method several: folds='al' is not valid (Input should be 'all', or: "),
        ({"folds": [1, "x"]}, "method several: folds=[1, 'x'] is not valid (Input should be 'all'"),
        ({"head": "mulit"}, "head='mulit' is not valid (Input should be 'flat' or 'multi'); cor"),
    ],
)
def test_a_field_of_several_kinds_says_what_each_would_take(values, sentence):
    with pytest.raises(ConfigError) as caught:
        build(Several, values, "method several")
    assert sentence in str(caught.value)
    assert "[int]" not in str(caught.value)


def test_the_search_space_holds_only_tunable_fields():
    space = search_space(Example)
    assert list(space) == ["lr", "width"]
    assert (space["lr"].low, space["lr"].high, space["lr"].log) == (1e-5, 1e-2, True)
    assert space["width"].choices == (64, 128)
