"""``submit report``: shown in full, confirmed, and only then written."""

import json
import sys

import pytest
from paired_runs import write_grid

from mil_bench.cli.main import main
from mil_bench.exchange.site_report import read_site_report


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    skills = {"abmil": 1.5, "mean": 0.5}
    return write_grid(tmp_path_factory.mktemp("site") / "runs", skills, seeds=1, folds=2)


def obey(capsys, *words):
    with pytest.raises(SystemExit) as ended:
        main(["submit", "report", *map(str, words)])
    out, err = capsys.readouterr()
    return ended.value.code, " ".join(out.split()), err


def answer(monkeypatch, text):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _: text)


def test_a_script_must_say_yes(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    out = tmp_path / "report.json"
    words = ("--runs", runs, "--dataset", "digit-bags", "--out", out)
    code, _, err = obey(capsys, *words)
    assert (code, out.exists()) == (2, False)
    assert "pass --yes" in err
    code, said, _ = obey(capsys, *words, "--yes")
    assert code == 0
    assert "It holds no slide ids" in said
    assert read_site_report(out).rows[0].method == "abmil"


def test_everything_is_shown_before_the_question(runs, tmp_path, capsys, monkeypatch):
    out = tmp_path / "report.zip"
    words = ("--runs", runs, "--dataset", "digit-bags", "--out", out, "--method", "abmil")
    answer(monkeypatch, "")
    code, said, _ = obey(capsys, *words)
    assert (code, out.exists()) == (1, False)
    assert "nothing is written" in said
    answer(monkeypatch, "y")
    code, said, _ = obey(capsys, *words)
    assert code == 0
    report = read_site_report(out)
    assert [row.method for row in report.rows] == ["abmil"]
    content = report.model_dump(mode="json", exclude={"rows"})
    for name, value in content.items():
        assert " ".join(f"{name}: {json.dumps(value)}".split()) in said
    for cell in report.rows[0].cells:
        assert json.dumps(list(cell.values)) in said


def test_the_key_stays_with_the_runs_and_keeps_the_draws(runs, tmp_path, capsys):
    words = ("--runs", runs, "--dataset", "digit-bags", "--yes")
    for name in ("a.json", "b.json"):
        assert obey(capsys, *words, "--out", tmp_path / name)[0] == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    key = runs / ".site-key"
    assert key.stat().st_mode & 0o077 == 0
    assert key.read_text().strip() not in (tmp_path / "a.json").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--dataset", "digit-bags", "--out", "r.csv", "--yes"), "expected .json or .zip"),
        (("--dataset", "bracs", "--out", "r.json", "--yes"), "bracs"),
        (("--dataset", "digit-bags", "--out", "r.json", "--yes", "--method", "hmil"), "hmil"),
        (("--dataset", "digit-bags", "--out", "r.json", "--yes", "--split", "mine"), "no board"),
    ],
)
def test_wrong_words_are_one_sentence(runs, tmp_path, capsys, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    code, _, err = obey(capsys, "--runs", runs, *words)
    assert code == 2
    assert says in err
    assert list(tmp_path.iterdir()) == []
