"""Texts for boards and pages name no folder of the machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from mil_bench.base.privacy import is_private, without_places


@pytest.fixture
def home(tmp_path, monkeypatch):
    home = tmp_path / "home" / "anna b"
    (home / "work" / "runs").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home / "work")
    return home


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot read /data/anna/h5/s1.h5 (No such file)", "cannot read …/s1.h5 (No such file)"),
        ("'/mnt/x/own.toml' line 3", "'…/own.toml' line 3"),
        ("~/data/labels.csv; ~/x", "…/labels.csv; …/x"),
        ("place=/a/b.py:12, (/usr/lib/p.py)", "place=…/b.py:12, (…/p.py)"),
        ("/data/anna/", "…/"),
    ],
)
def test_of_absolute_paths_the_last_name_is_left(text, shown):
    assert without_places(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "float16/32",
        "https://a.org/b/c.html",
        "N/A",
        "1 / 2",
        "a/b/c.csv",
        "</b></i>",
        "",
        "1/ 2",
    ],
)
def test_other_slashes_stay(text):
    assert without_places(text) == text


def test_paths_below_root_and_working_folder_are_relative_even_with_blanks(home):
    text = f"{home}/work/runs/d/m/k/p.csv, {home}/work/own.toml and {home}/secret.csv"
    assert without_places(text, home / "work" / "runs") == "d/m/k/p.csv, own.toml and …/secret.csv"


def test_a_folder_of_a_similar_name_is_not_the_root():
    assert without_places("/data/ab/c.csv", Path("/ab")) == "…/c.csv"


def test_links_within_the_home_folder_are_relative_and_others_would_tell_it(home):
    assert not is_private(home / "runs" / "x", home / "boards")
    assert not is_private(home.parent.parent / "r" / "x", home.parent.parent / "r" / "out")
    assert is_private(home / "runs" / "x", Path("/srv/boards"))
    assert is_private(home / "runs" / "x", home.parent / "other" / "boards")
