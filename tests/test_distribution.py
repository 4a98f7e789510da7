"""Wheel, source distribution and editable install hold the same files as the checkout."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ("mil_bench", "methods", "datasets", "leaderboards/published")
WALK = """
import json, site, sys
from hashlib import sha256
from pathlib import Path
site.addsitedir(sys.argv[1])  # alone: without the site packages of this interpreter
import mil_bench
def files(folder):
    for path in folder.iterdir():
        if path.name != "__pycache__":
            yield from files(path) if path.is_dir() else [path]
home = Path(mil_bench.__path__[0])
print(json.dumps({
    path.relative_to(home.parent).as_posix(): sha256(path.read_bytes()).hexdigest()
    for path in files(home)
}))
"""


def build(project, out, kind):
    """Call the build backend, as pip and uv do; the path of what it made."""
    out.mkdir(exist_ok=True)
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(out)!r}))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.splitlines()[-1]


def digests(wheel):
    """Path -> digest of every file of the package in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if name.startswith("mil_bench/")]
        return {name: sha256(archive.read(name)).hexdigest() for name in names}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of what a build reads, its links unchanged."""
    copy = tmp_path_factory.mktemp("project")
    skip = shutil.ignore_patterns("__pycache__")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, symlinks=True, ignore=skip)
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    return copy


@pytest.fixture(scope="module")
def wheel(project, tmp_path_factory):
    return build(project, tmp_path_factory.mktemp("wheel"), "wheel")


def test_the_wheel_holds_every_file_of_the_checkout(project, wheel):
    """Without the help of the build tool: what is on disk, under the name it is imported by."""
    expected = set()
    for source in SOURCES:
        home = "mil_bench" if source == "mil_bench" else f"mil_bench/{Path(source).name}"
        for path in (project / source).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                expected.add(f"{home}/{path.relative_to(project / source).as_posix()}")
    assert set(digests(wheel)) == expected
    assert {"mil_bench/py.typed", "mil_bench/published/bracs.csv"} <= expected
    assert "mil_bench/methods/hmil/method.py" in expected
    assert any(name.startswith("mil_bench/boards/page/parts/js/") for name in expected)


def test_a_wheel_from_the_source_distribution_is_the_wheel(project, wheel, tmp_path):
    sdist = build(project, tmp_path / "sdist", "sdist")
    with tarfile.open(sdist) as archive:
        assert not any(member.issym() or member.islnk() for member in archive)
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    assert not (source / "tests").exists()
    again = build(source, tmp_path / "wheel", "wheel")
    assert again.name == wheel.name
    assert digests(again) == digests(wheel)


def test_an_editable_install_gives_the_files_of_the_wheel(project, wheel, tmp_path):
    editable = build(project, tmp_path / "editable", "editable")
    with zipfile.ZipFile(editable) as archive:
        archive.extractall(tmp_path / "site")
    command = [sys.executable, "-I", "-S", "-c", WALK, str(tmp_path / "site")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == digests(wheel)
