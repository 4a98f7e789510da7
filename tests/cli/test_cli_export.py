"""``mil-bench export`` and ``--init`` from the command line."""

import pytest
from exported_models import bag, trained_run

from mil_bench.cli.main import main
from mil_bench.exchange.models.load_model import load_model


def command(*words):
    with pytest.raises(SystemExit) as ended:
        main([str(word) for word in words])
    return ended.value.code


def test_a_run_is_exported_with_its_card_and_another_form(tmp_path, capsys):
    runs, out = tmp_path / "runs", tmp_path / "out"
    directory, _ = trained_run(runs)
    trained_run(runs, "mean")
    key = directory.path.name[:8]
    words = ["export", "--run", key, "--runs", runs, "--out", out, "--format", "torchscript"]
    assert command(*words, "--licence", "CC-BY-4.0") == 0
    screen = capsys.readouterr().out
    assert "abmil on digit-bags, fold 0, seed 0" in screen
    assert f'mil_bench.load_model("{out}")' in screen
    assert load_model(out).predict(bag(2))["leaf"].sum() == pytest.approx(1)
    card = (out / "README.md").read_text()
    assert "is ranked " in card  # two methods make a board
    assert "CC-BY-4.0" in card
    assert command(*words) == 2
    assert "holds an export already" in capsys.readouterr().err


def test_a_form_that_is_impossible_is_a_note_and_exit_code_one(tmp_path, capsys):
    directory, _ = trained_run(tmp_path / "runs", "transmil")
    words = ["--run", directory.path.name, "--runs", tmp_path / "runs", "--out", tmp_path / "out"]
    assert command("export", *words, "--format", "torchscript") == 1
    assert "cannot be exported as torchscript" in " ".join(capsys.readouterr().out.split())
    assert load_model(tmp_path / "out").facts.method == "transmil"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["export"], "--run"),
        (["export", "--run", "x", "--run", "y"], "one run at a time"),
        (["export", "--run", "x", "--format", "keras"], "expected torchscript or onnx"),
        (["run", "-m", "abmil", "-d", "digit-bags", "--init", "nowhere"], "nowhere does not exist"),
    ],
)
def test_wrong_words_are_one_sentence(words, sentence, capsys):
    assert command(*words) in (1, 2)
    error = capsys.readouterr().err
    assert sentence in error
    assert error.count("\n") == 1
