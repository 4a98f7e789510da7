"""``mil-bench new``: the file that it writes works at once, whatever it is derived from."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mil_bench.cli.main import main
from mil_bench.methods import METHODS


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))


def obey(words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(shlex.split(words))
    return ended.value.code


def test_the_file_keeps_every_promise_and_the_printed_commands_work(capfd):
    assert obey("new method my-mil") == 0
    check, run, board, show = [
        line.strip().removeprefix("mil-bench ")
        for line in capfd.readouterr().out.splitlines()
        if line.startswith("  mil-bench")
    ]
    assert obey(check) == 0
    assert obey(f"{run} --fold 0 --set epochs=1 --device cpu") == 0
    assert obey(f"{board} --no-figures") == 0
    assert "my-mil" in capfd.readouterr().out
    assert obey(show) == 0
    assert "my-mil.svg" in Path("pages/my-mil.md").read_text()
    assert 35 <= len(Path("my_mil.py").read_text().splitlines()) <= 60


@pytest.mark.parametrize("base", ["abmil", "clam-mb", "hmil", "mhim", "dsmil"])
def test_a_method_derived_from_another_trains_with_a_term_of_its_own(base):
    assert obey(f"new method my-own --from {base} --out mine.py") == 0
    run = "run --plugin mine.py -m my-own -d digit-bags --fold 0 --set epochs=1 --device cpu"
    assert obey(f"{run} --set batch_size=16") == 0
    (log,) = Path().glob("runs/digit-bags/my-own/*/train.csv")
    assert "loss_penalty" in log.read_text().splitlines()[0]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("new method My_Mil", "'My_Mil' cannot name a method; use lower-case letters"),
        ("new method abmil", "method 'abmil' exists already; choose another name."),
        ("new method mine --from abmill", "unknown method 'abmill'; did you mean 'abmil'"),
        ("new method mine --out taken.py", "taken.py exists already; choose another name"),
    ],
)
def test_what_cannot_be_written_is_refused_in_one_sentence(capfd, words, sentence):
    Path("taken.py").write_text("mine\n")
    assert obey(words) == 2
    assert sentence in capfd.readouterr().err
    assert [path.name for path in Path().iterdir()] == ["taken.py"]
    assert Path("taken.py").read_text() == "mine\n"
