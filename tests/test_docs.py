"""The examples of the documentation work as written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mil_bench.cli.main import main

COMMAND = "run --plugin soft_top.py --method soft-top --dataset digit-bags"
DOCS = Path(__file__).resolve().parents[1] / "docs"


def test_the_example_method_trains_on_digit_bags(tmp_path, monkeypatch):
    text = (DOCS / "add-a-method.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "soft_top.py").write_text(code)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main([*COMMAND.split(), "--fold", "0", "--set", "epochs=2"])
    assert ended.value.code == 0
    assert list(tmp_path.glob("runs/digit-bags/soft-top/*/result.json"))


def test_every_relative_link_of_the_documentation_leads_somewhere():
    pages = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
    for page in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name} links to {target}"
