"""Where the runs of a board were made, without names of hosts or people."""

import json

import pytest
from run_folders import finish, make_spec

from mil_bench.boards.build import build_boards
from mil_bench.boards.collect import collect
from mil_bench.boards.environment import environment_json, environments_of
from mil_bench.boards.formats.folder import write_reports
from mil_bench.boards.report import report_of

AMD = {
    "mil-bench": "0.2.0",
    "git": {"commit": "0123456789abcdef", "dirty": False},
    "python": "3.11.7",
    "packages": {"torch": "2.14.1", "numpy": "2.4.6"},
    "system": "Linux-6.18.44-secret-host-x86_64",
    "machine": "secret-host",
    "processor": "AMD EPYC",
    "threads": 1,
    "device": "AMD EPYC",
    "cuda": None,
    "driver": None,
}


def board_of(tmp_path, environments):
    for fold, environment in enumerate(environments):
        folder, _ = finish(tmp_path / "runs", make_spec("abmil", fold=fold))
        (folder / "env.json").write_text(json.dumps(environment))
    (board,) = build_boards(collect(tmp_path / "runs"))
    return board


def test_runs_are_counted_by_environment(tmp_path):
    other = AMD | {"processor": "Xeon", "device": "Xeon", "git": {"commit": "ff" * 20}}
    dirty = AMD | {"git": {"commit": "ee" * 20, "dirty": True}}
    first, second = environments_of(board_of(tmp_path, [other, AMD, AMD, dirty]))
    assert (first.runs, first.facts["device"]) == (3, "AMD EPYC")
    assert first.commits == ("0123456789", "eeeeeeeeee+")
    assert first.facts["precision"] == "32"
    assert (second.runs, second.facts["device"], second.commits) == (1, "Xeon", ("ffffffffff",))


def test_no_host_name_is_written(tmp_path):
    board = board_of(tmp_path, [AMD])
    write_reports([report_of(board)], tmp_path / "out")
    (file,) = (tmp_path / "out").rglob("environment.json")
    (content,) = json.loads(file.read_text())
    assert content["runs"] == 1
    assert content["packages"] == AMD["packages"]
    page = file.with_name("README.md").read_text()
    assert "AMD EPYC" in page
    assert "2.14.1" in page
    for text in (file.read_text(), page):
        assert "secret-host" not in text


@pytest.mark.parametrize("environment", [{}, {"git": 3, "packages": ["torch"], "threads": None}])
def test_runs_that_state_little_are_counted(tmp_path, environment):
    (only,) = environments_of(board_of(tmp_path, [environment]))
    assert only.runs == 1
    assert only.words[1] == "–"
    assert json.loads(environment_json(board_of(tmp_path / "again", [environment])))[0]["runs"] == 1
