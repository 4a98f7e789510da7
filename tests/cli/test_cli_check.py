"""``mil-bench check method``: exit codes, verdicts, settings, plug-ins."""

from __future__ import annotations

import pytest

from mil_bench.cli.main import main

PLUGIN = '''
"""Mean of linear scores."""
from torch import nn
from mil_bench.contract.method import Method, Output, PaperCard
from mil_bench.methods import METHODS
from mil_bench.nn.segment import segment_mean


@METHODS.register("check-me")
class CheckMe(Method):
    """Mean of linear scores."""

    paper = PaperCard("An example", 2026, "tests", "https://example.org")

    def __init__(self, config, dim, taxonomy):
        super().__init__(config, dim, taxonomy)
        self.score = nn.Linear(dim, self.n_leaves)

    def forward(self, batch):
        return Output({"leaf": segment_mean(self.score(batch.features), batch.offsets)})
'''


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


def ended(*words):
    with pytest.raises(SystemExit) as end:
        main(["check", *words])
    return end.value.code


def test_a_sound_method_has_a_line_per_promise_and_exit_code_zero(capsys):
    assert ended("method", "simlp", "--set", "width=16") == 0
    said = capsys.readouterr().out
    for subject in ("small bags", "batch = singles", "labels", "parameters", "eight bags"):
        assert subject in said
    assert "simlp meets every requirement" in said


def test_a_broken_plug_in_is_told_what_to_do_and_exit_code_one(tmp_path, capsys):
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN.replace("batch.features)", "batch.features - batch.features.mean(0))"))
    assert ended("method", "check-me", "--plugin", str(file)) == 1
    said = capsys.readouterr().out
    assert "leaf logits of bags alone differ by" in said
    assert "-> pool within bags" in said
    assert "1 problem to fix" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("method", "abmill"), "unknown method 'abmill'; did you mean 'abmil'"),
        (("method", "abmil", "--set", "widht=3"), "unknown option 'widht' of method abmil"),
        (("metod", "abmil"), "unknown command 'metod'; did you mean 'method'"),
    ],
)
def test_wrong_words_are_one_sentence_and_exit_code_two(words, message, capsys):
    assert ended(*words) == 2
    assert message in capsys.readouterr().err
