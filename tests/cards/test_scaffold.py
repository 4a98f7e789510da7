"""New methods import from the package itself, never from a place inside it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mil_bench
from mil_bench.cards.scaffold import method_text

DOCS = Path(__file__).resolve().parents[2] / "docs"


def public_names(code):
    """The modules of mil_bench that ``code`` imports from, and the names."""
    imports = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if (node.module or "").split(".")[0] == "mil_bench"]
    return {node.module for node in ours}, {alias.name for node in ours for alias in node.names}


@pytest.mark.parametrize("base", [None, "abmil", "hmil"])
def test_a_new_method_imports_public_names_only(base):
    modules, names = public_names(method_text("mine", base))
    assert modules == {"mil_bench"}
    assert names <= set(mil_bench.__all__)


@pytest.mark.parametrize("page", ["add-a-method.md", "add-a-dataset.md", "heads.md", "check.md"])
def test_documented_code_imports_public_names_only(page):
    blocks = (DOCS / page).read_text().split("```python\n")[1:]
    for block in blocks:
        modules, names = public_names(block.partition("```")[0])
        assert modules == {"mil_bench"}
        assert names <= set(mil_bench.__all__)
