"""The page of a method, of the package or from outside."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mil_bench.cards.page import board_rows, of_docstring, page
from mil_bench.cli.main import main
from mil_bench.contract.card import MethodCard
from mil_bench.contract.method import PaperCard
from mil_bench.methods import METHODS
from mil_bench.methods.abmil import ABMIL, ABMILConfig

PLUGIN = '''
from mil_bench.contract.method import PaperCard
from mil_bench.methods import METHODS
from mil_bench.methods.simlp import SiMLP


@METHODS.register("outside-page")
class Outside(SiMLP):
    """Mean of the features."""

    paper = PaperCard("Title", 2026, "venue", "https://example.org", steps=("my own step",))
'''


def text_of(method: type[ABMIL]) -> str:
    return page(MethodCard.of("abmil", method, "attention"), [])


def test_a_page_has_equation_differences_settings_recipe_and_ablations():
    text = text_of(ABMIL)
    assert "`s_i = w^T (tanh(V h_i) * sigmoid(U h_i))`" in text
    for line in ABMIL.paper.differs:
        assert f"- {line}\n" in text
    assert "| `hidden` | 256 | whole number | 64, 128, 256 |" in text
    assert "| `dropout` | 0.25 | number | 0.0 to 0.5 |" in text
    assert "`epochs=200`" in text
    assert "| `gating` | component | gated attention | `gated=false` |" in text


def test_names_in_a_column_of_a_docstring_are_a_list():
    lines = [
        "What ``a`` says.",
        "",
        "``one``    this,",
        "           in two lines",
        "``other``  that",
    ]
    assert of_docstring("\n".join(lines)).splitlines()[2:] == [
        "- `one`: this,",
        "           in two lines",
        "- `other`: that",
    ]


def test_a_method_without_steps_has_a_page_without_figure():
    class Bare(ABMIL):
        paper = PaperCard("Title", 2026, "venue", "https://example.org")

    assert ".svg" in text_of(ABMIL)
    assert ".svg" not in text_of(Bare)


def test_settings_of_any_type_have_a_row():
    class Config(ABMILConfig):
        sizes: tuple[int, ...] = (64, 32)
        label: str = "a|b"
        place: Path | None = None

    class Settings(ABMIL):
        pass

    Settings.Config = Config
    lines = text_of(Settings).splitlines()
    assert "| `sizes` | [64, 32] | whole number |  |" in lines
    assert "| `label` | a\\|b | text |  |" in lines
    assert "| `place` | none | Path, none |  |" in lines


def test_rows_of_boards_are_linked_from_where_the_page_lies(tmp_path):
    board = tmp_path / "leaderboards/embedded/toy"
    board.mkdir(parents=True)
    (board / "overall.csv").write_text(
        "method,variant,tier,rank,rank_low,rank_high,coverage,accuracy,accuracy_low,accuracy_high\n"
        "mine,,2,4,3,9,5 of 5,0.61234,0.5,0.7\n"
        "mine,shuffled tree,,,,,5 of 5,0.5,,\n"
        "other,,1,1,1,1,5 of 5,0.7,0.6,0.8\n"
    )
    assert list(board_rows("mine", tmp_path / "leaderboards", tmp_path / "pages")) == [
        "[`leaderboards/embedded/toy`](../leaderboards/embedded/toy), 3 rows:",
        "",
        "| variant | tier | rank | accuracy | runs |",
        "| --- | --- | --- | --- | --- |",
        "|  | 2 | 4 [3, 9] | 61.2 [50.0, 70.0] | 5 of 5 |",
        "| shuffled tree | – | – | 50.0 | 5 of 5 |",
        "",
    ]
    (rank,) = [line for line in board_rows("other", board.parents[1], board) if "70.0" in line]
    assert rank.startswith("|  | 1 | 1 | 70.0 ")
    assert list(board_rows("third", tmp_path / "leaderboards", tmp_path)) == []


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if name.startswith("mil_bench_plugin_"):
            del sys.modules[name]


def show(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["show", *words])
    return ended.value.code


def test_a_plugin_has_a_page_with_its_figure_and_its_cost(elsewhere, capsys):
    (elsewhere / "mine.py").write_text(PLUGIN)
    assert show("outside-page", "--plugin", "mine.py", "--page", "pages") == 0
    assert "written: pages/outside-page.svg, pages/outside-page.md" in capsys.readouterr().out
    text = (elsewhere / "pages/outside-page.md").read_text()
    assert "![The steps of outside-page](outside-page.svg)" in text
    assert "| parameters, M | MFLOP/patch, N = 1,024 | 4,096 | 16,384 | growth |" in text
    assert "my own step" in (elsewhere / "pages/outside-page.svg").read_text()


@pytest.mark.parametrize(
    ("steps", "sentence"),
    [
        ('"my own step"', "(mine.py, line 11): steps of the paper card is a string; write a tuple"),
        ('("word" * 20,)', "of the paper card does not fit a box of the figure (3 lines of 16"),
    ],
)
def test_steps_that_cannot_be_drawn_are_one_sentence(elsewhere, capsys, steps, sentence):
    (elsewhere / "mine.py").write_text(PLUGIN.replace('("my own step",)', steps))
    assert show("outside-page", "--plugin", "mine.py", "--page", "pages") == 2
    assert sentence in capsys.readouterr().err
    assert not (elsewhere / "pages").exists()


def test_a_method_that_cannot_be_counted_is_told_with_its_line(elsewhere, capsys):
    (elsewhere / "mine.py").write_text(PLUGIN + "\n    def forward(self, batch):\n        1 / 0\n")
    assert show("outside-page", "--plugin", "mine.py", "--page", "pages") == 1
    assert "ZeroDivisionError: division by zero (mine.py, line 14)" in capsys.readouterr().err


def test_a_dataset_has_no_page(elsewhere, capsys):
    assert show("digit-bags", "--page", "pages") == 2
    assert "'digit-bags' is not a method; only methods have a --page." in capsys.readouterr().err
