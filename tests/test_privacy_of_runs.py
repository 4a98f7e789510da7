"""Nothing that `run` and `leaderboard` write names the machine, its user or its folders."""

from __future__ import annotations

import platform
import socket
from pathlib import Path

import pytest

from mil_bench.cli.main import main

MARK = "anna-of-ward-7"


def exit_code(words):
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


LOCAL = (".plans", "traceback.txt", "failure.json")
"""What never leaves the machine: plans need paths, and a failure is explained to its user."""
PLUGIN = """
from mil_bench import METHODS
from mil_bench.methods.pooling import MeanPooling

@METHODS.register("fails-on-purpose")
class Broken(MeanPooling):
    \"\"\"Fails and names a file.\"\"\"

    def forward(self, batch):
        raise OSError(2, "No such file or directory", "{home}/secret/weights.pt")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project below the user's home folder with runs, a failed run and boards."""
    home = tmp_path_factory.mktemp("machine") / MARK
    project = home / "project"
    project.mkdir(parents=True)
    (project / "plugin.py").write_text(PLUGIN.replace("{home}", str(home)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("LOGNAME", MARK)
        patch.setattr(socket, "gethostname", lambda: MARK)
        patch.setattr(platform, "node", lambda: MARK)
        patch.chdir(project)
        words = ["--dataset", "digit-bags", "--runs", str(project / "runs")]
        words += ["--fold", "0", "--set", "epochs=1", "--set", "min_epochs=1"]
        assert exit_code(["run", "--method", "mean,abmil", *words]) == 0
        plugin = ["--plugin", str(project / "plugin.py")]
        assert exit_code(["run", "--method", "fails-on-purpose", *words, *plugin]) != 0
        out = ["--runs", str(project / "runs"), "--out", str(project / "boards")]
        assert exit_code(["leaderboard", *out]) == 0
    return project


def written(project):
    return [
        path
        for folder in ("runs", "boards")
        for path in (project / folder).rglob("*")
        if path.is_file() and not set(LOCAL) & {path.name, path.parent.name}
    ]


def test_no_file_names_host_user_or_folder(project):
    files = written(project)
    names = {path.name for path in files}
    assert {"env.json", "result.json", "spec.json", "predictions.csv", "checkpoint.pt"} <= names
    assert list((project / "runs").glob("digit-bags/features/*.json"))
    assert {"digit-bags.html", "index.html", "overall.csv", "README.md"} <= names
    words = (MARK, str(project), str(Path.home()))
    telling = [
        f"{path.relative_to(project)}: {word}"
        for path in files
        for word in words
        if word.encode() in path.read_bytes()
    ]
    assert telling == []


def test_the_page_still_says_what_failed_and_the_run_folder_where(project):
    page = (project / "boards" / "digit-bags.html").read_text()
    assert "cannot read or write …/weights.pt" in page
    (failure,) = (project / "runs").rglob("failure.json")
    assert f"{MARK}/secret/weights.pt" in failure.read_text()


def test_host_names_in_older_runs_are_not_shown(project, tmp_path):
    for env in (project / "runs").rglob("env.json"):
        env.write_text(env.read_text().replace('"python"', '"machine": "node-of-anna", "python"'))
        assert "node-of-anna" in env.read_text()
    assert exit_code(["leaderboard", "--runs", str(project / "runs"), "--out", str(tmp_path)]) == 0
    assert not [p for p in tmp_path.rglob("*.*") if b"node-of-anna" in p.read_bytes()]
