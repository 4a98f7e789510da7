"""The examples of the documentation work as written."""

from __future__ import annotations

import os
import pkgutil
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mil_bench
from mil_bench.cards.scaffold import method_text
from mil_bench.cli.main import main

COMMAND = "run --plugin soft_top.py --method soft-top --dataset digit-bags"
DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_example_method_trains_on_digit_bags(tmp_path, monkeypatch):
    text = (DOCS / "add-a-method.md").read_text()
    code, *_ = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "soft_top.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*COMMAND.split(), "--fold", "0", "--set", "epochs=2"])
    assert ended.value.code == 0
    assert list(tmp_path.glob("runs/digit-bags/soft-top/*/result.json"))


def test_the_example_of_second_derivatives_gives_them():
    text = (DOCS / "add-a-method.md").read_text()
    *_, code = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(compile(code, "add-a-method.md", "exec"), names)
    jacobian, hessian = names["jacobian"], names["hessian"]
    assert jacobian.shape == (1, 2, 20, 16)
    assert jacobian.any()
    assert hessian.shape == (20, 16, 20, 16)
    assert hessian.any()
    matrix = hessian.reshape(320, 320)
    assert (matrix - matrix.T).abs().max() < 1e-6


def test_every_relative_link_of_the_documentation_leads_somewhere():
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_name_that_a_docstring_refers_to_exists():
    package = Path(mil_bench.__file__).parent
    role = re.compile(r":(?:func|class|mod|meth|attr|data|exc):`~?(mil_bench[\w.]+)`")
    # methods/ and datasets/ may be links, which rglob does not follow.
    folders = (package, package / "methods", package / "datasets")
    files = [path for folder in folders for path in folder.rglob("*.py")]
    names = {name for path in files for name in role.findall(path.read_text())}
    assert len(names) > 30
    assert not [name for name in sorted(names) if not exists(name)]


def exists(name):
    """Return whether ``name`` can be imported, or is an annotated field of what can be."""
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        owner, _, field = name.rpartition(".")
        return field in getattr(pkgutil.resolve_name(owner), "__annotations__", {})
    return True


def python_blocks(page):
    return re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.slow
def test_the_examples_of_python_work_one_after_the_other(tmp_path):
    script = tmp_path / "examples.py"
    script.write_text("\n".join(python_blocks(DOCS / "python.md")))
    environment = {**os.environ, "PYTHONPATH": str(DOCS.parent)}
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("runs/digit-bags/*/*/result.json"))) == 3


def test_the_table_of_names_is_complete():
    text = (DOCS / "python.md").read_text()
    table = text[text.index("## All names") :]
    assert set(re.findall(r"`(\w+)`", table)) == set(mil_bench.__all__) - {"__version__"}


def test_examples_and_new_methods_import_public_names_only():
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    texts = {page.name: code for page in pages for code in python_blocks(page)}
    texts |= {"new method": method_text("mine", None), "derived": method_text("mine", "abmil")}
    for where, text in texts.items():
        for line in re.findall(r"^\s*(?:from|import) mil_bench\S*", text, re.MULTILINE):
            # a method to derive from is in the file of its name
            assert line.split()[1] == "mil_bench" or ".methods." in line, f"{where}: {line}"
