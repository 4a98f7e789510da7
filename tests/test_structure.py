"""The order of the rooms: one list for the linter, the folders and the docs, and it holds."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "mil_bench"
FORBIDDEN = {
    "methods/abmil.py": "from mil_bench.runs import directory",
    "datasets/own.py": "from mil_bench.boards import report",
    "mil_bench/nn/segment.py": "from mil_bench.training import loop",
}
"""A file of the checkout, and an import that points up from it."""
TARGET = re.compile(r"mil_bench\.(\w+)(\.\w+)*(:\w+)?")


def contracts():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return settings["tool"]["importlinter"]["contracts"]


def layers():
    """The rooms from the top, those of one layer together."""
    (contract,) = (c for c in contracts() if c["type"] == "layers")
    return [re.split(r" [|:] ", layer) for layer in contract["layers"]]


def rooms_on_disk():
    folders = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    files = {path.stem for path in PACKAGE.glob("*.py")}
    return folders | files - {"__init__"}


def modules():
    """``(room, path)`` of every Python file, links followed."""
    for room in sorted(rooms_on_disk()):
        folder = PACKAGE / room
        files = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
        yield from ((room, path) for path in files)


def lint(checkout):
    """Run the linter on a copy, with the settings of the copy."""
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of what the linter reads, its links unchanged."""
    copy = tmp_path_factory.mktemp("checkout")
    skip = shutil.ignore_patterns("__pycache__", "parts")
    for name in ("mil_bench", "methods", "datasets", "leaderboards/published"):
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=skip)
    shutil.copy(ROOT / "pyproject.toml", copy)
    return copy


def test_every_import_of_the_package_points_down(checkout):
    status, text = lint(checkout)
    assert status == 0, text


@pytest.mark.parametrize(
    "statement",
    [
        "{}\n",
        "def late():\n    {}\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {}\n",
    ],
    ids=["plain", "lazy", "for types"],
)
def test_an_import_that_points_up_is_refused_wherever_it_stands(checkout, statement):
    before = {name: (checkout / name).read_text() for name in FORBIDDEN}
    try:
        for name, upward in FORBIDDEN.items():
            (checkout / name).write_text(before[name] + "\n\n" + statement.format(upward))
        status, text = lint(checkout)
    finally:
        for name, content in before.items():
            (checkout / name).write_text(content)
    assert status != 0
    for name, upward in FORBIDDEN.items():
        importer = "mil_bench." + name.removeprefix("mil_bench/").removesuffix(".py").replace(
            "/", "."
        )
        imported = ".".join(upward.split()[1::2])
        assert f"{importer} -> {imported}" in text.replace("\n", " ")


def test_the_contract_has_no_exceptions():
    for contract in contracts():
        assert not contract.keys() & {"ignore_imports", "exclude_type_checking_imports"}
    (contract,) = (c for c in contracts() if c["type"] == "layers")
    assert contract["exhaustive"]
    assert "exhaustive_ignores" not in contract
    assert not any("(" in room for layer in layers() for room in layer)  # an optional layer


def test_the_rooms_of_the_contract_are_the_folders_and_the_table_of_the_documentation():
    from_below = [room for layer in reversed(layers()) for room in layer]
    assert set(from_below) == rooms_on_disk()
    text = (ROOT / "docs" / "structure.md").read_text()
    table = text[text.index("## Rooms") : text.index("Outside the package")]
    documented = re.findall(r"^\| `(\w+)/?` \|", table, re.MULTILINE)
    assert sorted(documented) == sorted(set(from_below) - {"__main__"})
    heights = [height(room) for room in documented]
    assert heights == sorted(heights)


def test_no_file_names_a_module_above_it_in_a_string():
    """Registries and commands name ``module:attribute`` in text, which the linter cannot see."""
    upward = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} names {node.value}"
        for room, path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (target := TARGET.fullmatch(node.value))
        and target[1] in rooms_on_disk()
        and height(target[1]) > height(room)
    ]
    assert not upward


def test_every_entry_of_a_registry_is_in_a_room_that_the_registry_may_import():
    places = {"methods": "METHODS", "datasets": "DATASETS", "extraction.encoders": "ENCODERS"}
    for place, name in places.items():
        registry = getattr(import_module(f"mil_bench.{place}"), name)
        texts = [registry.check, *(entry.target for entry in registry)]
        targets = [text for text in texts if isinstance(text, str) and text]
        for room in (text.split(".")[1] for text in targets if text.startswith("mil_bench.")):
            assert height(room) <= height(place.split(".")[0]), name


def test_no_file_of_the_package_imports_the_public_names():
    """They are above all rooms."""
    for _, path in modules():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                rooms = {alias.name for alias in node.names} <= rooms_on_disk()
                assert node.module != "mil_bench" or rooms, path
            if isinstance(node, ast.Import):
                assert "mil_bench" not in {alias.name for alias in node.names}, path


def test_the_name_of_a_class_or_a_type_alias_has_one_meaning():
    places = {}
    for _, path in modules():
        for name in type_names(ast.parse(path.read_text())):
            places.setdefault(name, set()).add(str(path.relative_to(PACKAGE)))
    assert not {name: files for name, files in places.items() if len(files) > 1}


def type_names(tree):
    """Names of the public classes and type aliases of a module, which are in camel case."""
    for node in tree.body:
        name = getattr(node, "name", "") if isinstance(node, ast.ClassDef) else ""
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name = node.targets[0].id
        if re.fullmatch(r"[A-Z]\w*[a-z]\w*", name):
            yield name


def height(room):
    """How many layers are below ``room``."""
    return next(i for i, layer in enumerate(reversed(layers())) if room in layer)
