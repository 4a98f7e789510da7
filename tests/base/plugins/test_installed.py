"""Methods and datasets of an installed package: the same rights."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from plugin_requests import HEAD
from run_requests import PLUGIN

PACKAGE = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "outside-mil"
version = "1.0"

[project.entry-points."mil_bench.methods"]
outside = "outside_mil:Outside"
abmil = "outside_mil:Outside"
ruined = "outside_mil.ruined:Ruined"

[project.entry-points."mil_bench.datasets"]
outside-data = "outside_mil:Data"

[tool.setuptools]
packages = ["outside_mil"]
"""
MODULE = """
from dataclasses import replace

from toy_grid import ToyData


class Outside(Base):
    "From an installed package."


class Data(ToyData):
    "From an installed package."

    card = replace(ToyData.card, name="outside-data")

    def load(self, options):
        return replace(super().load(options), card=self.card)
"""


@pytest.mark.slow
def test_an_installed_package_has_the_same_rights_and_its_faults_stop_nobody(tmp_path):
    source, place = tmp_path / "source", tmp_path / "place"
    (source / "outside_mil").mkdir(parents=True)
    (source / "pyproject.toml").write_text(PACKAGE)
    (source / "outside_mil/__init__.py").write_text(HEAD + MODULE)
    (source / "outside_mil/ruined.py").write_text("# nothing\nimport no_such_thing\n")
    install = "pip install --quiet --no-deps --no-index --no-build-isolation"
    subprocess.run(
        [sys.executable, "-m", *install.split(" "), "--target", str(place), str(source)], check=True
    )
    paths = os.pathsep.join(map(str, (place, Path(PLUGIN).parent)))

    def bench(words: str) -> tuple[int, str, str]:
        done = subprocess.run(
            [sys.executable, "-m", "mil_bench", *words.split()],
            env={**os.environ, "PYTHONPATH": paths, "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, " ".join(done.stdout.split()), " ".join(done.stderr.split())

    status, listed, warned = bench("list")
    assert status == 0
    assert "outside │ from outside-mil │ outside-mil" in listed
    assert "outside-data │ from outside-mil │ outside-mil" in listed
    assert warned == (
        "warning: method 'abmil' from outside-mil is already registered by mil-bench; "
        "rename one of them."
    )
    status, out, _ = bench("run -m outside,abmil -d outside-data --fold 0 --set epochs=1")
    assert (status, "2 done" in out) == (0, True)
    status, _, told = bench("run -m ruined,abmil -d outside-data --fold 0")
    assert status == 2
    assert "method 'ruined' of the package outside-mil cannot be imported (" in told
    assert "ModuleNotFoundError: No module named 'no_such_thing'" in told
    assert bench("leaderboard --no-figures")[0] == 0
    page = next(Path("leaderboards").glob("outside-data.html")).read_text()
    assert "from outside-mil" in page  # its card
