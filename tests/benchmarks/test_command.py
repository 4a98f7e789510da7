"""Benchmarks take the words of the product, or words of their own that it does not have."""

from __future__ import annotations

import sys
from importlib import import_module
from inspect import signature

import pytest

from benchmarks.command import SHARED, WORDS, parser_of, run
from mil_bench.cli.options import OPTIONS

COMMANDS = {
    name: name.removesuffix(".__main__").rpartition(".")[2]
    for name in (
        *("cli", "extraction", "gpu.__main__", "inference", "inference_coverage", "loading"),
        *("method_costs", "quality", "report", "reproducibility", "scaling", "training"),
    )
}


def function_of(name):
    pytest.importorskip("openslide" if name == "extraction" else "torch")
    return getattr(import_module(f"benchmarks.{name}"), COMMANDS[name])


def test_a_word_of_the_product_means_the_same_in_benchmarks():
    assert {*WORDS} & {*OPTIONS} == {*SHARED}


def test_every_word_is_used():
    used = {
        f"--{parameter.replace('_', '-')}"
        for name in COMMANDS
        for parameter in signature(function_of(name)).parameters
    }
    assert used == {*WORDS}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_benchmark_has_help_with_the_defaults_of_its_function(name):
    function = function_of(name)
    text = " ".join(parser_of(function).format_help().split())
    for parameter in signature(function).parameters.values():
        assert WORDS[f"--{parameter.name.replace('_', '-')}"].metavar in text
        if isinstance(parameter.default, str) and len(parameter.default) < 10:
            assert f"(default: {parameter.default})" in text


def test_words_reach_the_function_and_a_wrong_one_is_one_sentence(monkeypatch, capsys):
    calls = []

    def training(method: str = "abmil", dropout: bool = True, bags: int | None = None) -> None:
        """Train."""
        calls.append((method, dropout, bags))

    monkeypatch.setattr(sys, "argv", ["x", "--method", "max", "--no-dropout", "--bags=4"])
    run(training)
    monkeypatch.setattr(sys, "argv", ["x"])
    run(training)
    assert calls == [("max", False, 4), ("abmil", True, None)]
    monkeypatch.setattr(sys, "argv", ["x", "--metod", "max"])
    with pytest.raises(SystemExit) as ended:
        run(training)
    assert ended.value.code == 2
    assert "did you mean '--method'" in capsys.readouterr().err
