"""The committed pages of methods are those that the code makes."""

from __future__ import annotations

from docs.methods_pages import COMMAND, DOCS, page, pages
from mil_bench.method import PaperCard
from mil_bench.methods import METHODS
from mil_bench.methods.abmil import ABMIL
from mil_bench.registry import OURS


def test_the_committed_pages_are_what_the_command_writes():
    made = pages()
    folder = DOCS / "methods"
    assert {path.name for path in folder.iterdir()} == set(made), f"run `{COMMAND}`"
    for name, text in made.items():
        assert (folder / name).read_text(encoding="utf-8") == text, f"{name}: run `{COMMAND}`"


def test_every_method_has_its_figure_and_its_cost_on_the_page():
    made = pages()
    for name in (entry.name for entry in METHODS if entry.origin == OURS):
        text = made[f"{name}.md"]
        assert f"({name}.svg)" in text
        assert f"{name}.svg" in made
        assert "## Cost\n\n| parameters, M |" in text


def test_a_method_without_steps_has_a_page_without_figure():
    class Bare(ABMIL):
        paper = PaperCard("Title", 2026, "venue", "https://example.org")

    assert ".svg" not in page("bare", Bare)


def test_a_page_tells_equation_differences_options_recipe_and_ablations():
    text = page("abmil", METHODS.get("abmil"))
    assert "`s_i = w^T (tanh(V h_i) * sigmoid(U h_i))`" in text
    for line in METHODS.get("abmil").paper.differs:
        assert f"- {line}\n" in text
    assert "| `hidden` | 256 | whole number | 64, 128, 256 |" in text
    assert "| `dropout` | 0.25 | number | 0.0 to 0.5 |" in text
    assert "`epochs=200`" in text
    assert "| `gating` | part | gated attention | `gated=false` |" in text
