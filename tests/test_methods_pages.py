"""The committed pages of methods are those that the code makes."""

from __future__ import annotations

import pandas as pd

from docs.methods_pages import BOARDS, COMMAND, PAGES, pages
from mil_bench.base.registry import OURS
from mil_bench.methods import METHODS


def test_the_committed_pages_are_what_the_command_writes():
    made = pages()
    assert {path.name for path in PAGES.iterdir()} == set(made), f"run `{COMMAND}`"
    for name, text in made.items():
        assert (PAGES / name).read_text(encoding="utf-8") == text, f"{name}: run `{COMMAND}`"


def test_every_method_has_its_figure_and_its_cost_on_the_page():
    made = pages()
    for name in (entry.name for entry in METHODS if entry.origin == OURS):
        text = made[f"{name}.md"]
        assert f"({name}.svg)" in text
        assert f"{name}.svg" in made
        assert "## Cost\n\n| parameters, M |" in text


def test_the_table_of_all_methods_has_their_scores_on_the_board():
    (board,) = BOARDS.glob("embedded/digit-bags/pixels/official--digits-3/overall.csv")
    scores = pd.read_csv(board).query("variant.isna()").set_index("method")["balanced_accuracy"]
    lines = pages()["README.md"].splitlines()
    for name, score in scores.items():
        (line,) = (line for line in lines if line.startswith(f"| [`{name}`]"))
        assert f" {100 * score:.1f} [" in line.split("|")[-2]
