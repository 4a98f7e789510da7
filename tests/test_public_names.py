"""What ``from mil_bench import ...`` gives, and what importing it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import mil_bench

ROOT = Path(__file__).resolve().parents[1]
ISSUE = [
    "Method",
    "MethodConfig",
    "HeadedMethod",
    "Output",
    "PaperCard",
    "BagBatch",
    "tunable",
    "Taxonomy",
    "METHODS",
    "DATASETS",
    "load_dataset",
    "run",
    "leaderboard",
    "score",
    "stock_layers",
]


def fresh(code: str) -> str:
    """What ``code`` prints in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return done.stdout.strip()


def test_the_promised_names_are_public():
    assert set(ISSUE) <= set(mil_bench.__all__)
    assert set(mil_bench.__all__) <= set(dir(mil_bench))


def test_star_and_single_imports_give_the_objects_of_their_modules():
    for name, home in mil_bench._HOME.items():
        assert getattr(mil_bench, name) is getattr(import_module(home), name)


def test_type_checkers_see_the_names_that_python_sees():
    tree = ast.parse(Path(mil_bench.__file__).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    static = {
        alias.asname: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert static == mil_bench._HOME


@pytest.mark.parametrize("name", sorted(mil_bench._HOME))
def test_no_module_of_the_package_can_take_the_place_of_a_public_name(name):
    assert find_spec(f"mil_bench.{name}") is None


def test_leaderboard_is_the_function_after_importing_every_room():
    code = (
        "import pkgutil, importlib, mil_bench\n"
        "for room in pkgutil.iter_modules(mil_bench.__path__, 'mil_bench.'):\n"
        "    if not room.name.endswith('__main__'): importlib.import_module(room.name)\n"
        "import mil_bench.boards.frames\n"
        "from mil_bench import leaderboard\n"
        "print(type(leaderboard).__name__, leaderboard.__module__)"
    )
    assert fresh(code) == "function mil_bench.boards.frames"


def test_an_unknown_name_is_an_attribute_error_that_names_it():
    with pytest.raises(AttributeError, match="'mil_bench' has no attribute 'trainer'"):
        mil_bench.trainer  # noqa: B018


@pytest.mark.parametrize(
    "code",
    [
        "import mil_bench",
        "from mil_bench import tunable, Taxonomy, METHODS",
        "dir(__import__('mil_bench'))",
    ],
)
def test_cheap_imports_load_no_torch(code):
    assert fresh(f"{code}\nimport sys\nprint('torch' in sys.modules)") == "False"
