"""All text of the product is plain English, as far as :mod:`prose` can tell."""

from __future__ import annotations

from pathlib import Path

import prose
import pytest

ROOT = prose.ROOT
PARTS = (
    "mil_bench", "methods", "datasets", "benchmarks", "docs", "README.md", "leaderboards/published",
)  # fmt: skip
# Written by docs/methods_pages.py from the cards of the methods, which are checked where they are.
GENERATED = "docs/methods/"


@pytest.mark.parametrize("part", PARTS)
def test_the_text_of_the_product_is_plain_english(part):
    listed = [
        str(offence)
        for path in prose.files([ROOT / part])
        if not str(path.relative_to(ROOT)).startswith(GENERATED)
        for passage in prose.passages(path)
        for offence in prose.offences(passage)
    ]
    assert not listed, "\n".join(listed)


PYTHON = {
    '"""Read the tree, which was made anew."""': "banned",
    'raise ValueError(f"{path} is no study file")': "banned",
    'help = "Color of the lines."': "spelling",
    '"""What a tree of classes has is read here."""': "clause first",
    '"""Raise Raise an error."""': "doubled",
    'def width():\n    """The width of a tree."""': "no verb",
    f'"""Read {"one or " * 13}two."""': "28 words",
    "x = 1  # nobody reads it": "banned",
    "# A run of the\n# the grid.\n": "doubled",
}
MARKDOWN = {
    "The run goes on.": "banned",
    "| a | data set |": "spelling",
    "That a method is better is a claim.": "clause first",
    "A run of the\nthe grid.": "doubled",
    f"- {'one or ' * 13}two.": "27 words",
}
ACCEPTED = {
    ".py": """def read(path):
    \"\"\"Return ``(N, D)`` features of a bag, for ``a, b, c, d, e, f, g, h`` and others.

    A bracket (which is a separate sentence of its kind, with at most as many words as any other
    sentence of the text that surrounds it) does not count. Neither does ``color = center``.
    \"\"\"
""",
    ".md": f"Run it.\n\n```sh\nmil-bench run --color {'word ' * 40}\n```\n\n| a; b | c |\n",
}


@pytest.mark.parametrize(("text", "rule"), PYTHON.items())
def test_a_python_file_that_breaks_a_rule_is_refused(tmp_path, text, rule):
    assert [o.rule for o in _offences(tmp_path / "sample.py", text)] == [rule]


@pytest.mark.parametrize(("text", "rule"), MARKDOWN.items())
def test_a_page_that_breaks_a_rule_is_refused(tmp_path, text, rule):
    assert [o.rule for o in _offences(tmp_path / "sample.md", text)] == [rule]


@pytest.mark.parametrize(("suffix", "text"), ACCEPTED.items())
def test_code_brackets_and_tables_are_not_counted(tmp_path, suffix, text):
    assert not _offences(tmp_path / f"sample{suffix}", text)


def test_strings_of_the_page_are_read(tmp_path):
    script = 'const note = "One thing is no tree of classes";\nel("g", { class: "told" });'
    assert [o.rule for o in _offences(tmp_path / "sample.js", script)] == ["banned"]


def test_the_command_prints_offences_and_fails(tmp_path, capsys, monkeypatch):
    (tmp_path / "sample.md").write_text("The run goes on.")
    monkeypatch.setattr("sys.argv", ["prose.py", str(tmp_path)])
    assert prose.main() == 1
    assert "sample.md:1: banned" in capsys.readouterr().out


def _offences(path: Path, text: str) -> list[prose.Offence]:
    path.write_text(text)
    return [offence for passage in prose.passages(path) for offence in prose.offences(passage)]
