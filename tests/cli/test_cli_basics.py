"""The command line answers at once, and every wrong word is one sentence."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mil_bench.cli.main import main

PROBE = """
import sys
from mil_bench.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
heavy = {{"torch", "pandas", "numpy", "sklearn", "scipy", "matplotlib"}} & set(sys.modules)
print("HEAVY", sorted(heavy))
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["list"],
        ["list", "methods"],
        ["run", "--help"],
        ["run", "--method", "nope", "--dataset", "digit-bags"],
        ["run", "--method", "hmil", "--dataset", "nope"],
        ["run", "--method", "hmil", "--dataset", "digit-bags", "--set", "lr"],
        ["data", "check", "--dataset", "nope"],
    ],
)
def test_help_lists_and_argument_errors_import_nothing_heavy(arguments):
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(arguments=arguments)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip().endswith("HEAVY []")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["run", "--method", "hmli", "--dataset", "bracs"],
            "unknown method 'hmli'; did you mean 'hmil'",
        ),
        (
            ["run", "--method", "hmil", "--dataset", "brac"],
            "unknown dataset 'brac'; did you mean 'bracs'",
        ),
        (["run", "--method", "hmil", "--dataset", "my.toml"], "my.toml does not exist"),
        (["run", "--method", ",", "--dataset", "bracs"], "names nothing"),
        (["run", "-m", "hmil", "-d", "bracs", "--fold", "one"], "--fold has 'one'"),
        (["run", "-m", "hmil", "-d", "bracs", "--seed", "-1"], "--seed has '-1'"),
        (["run", "-m", "hmil", "-d", "bracs", "--set", "=3"], "is not KEY=VALUE"),
        (["run", "-m", "hmil", "-d", "bracs", "--set", "a=1", "--set", "a=2"], "names 'a' twice"),
        (["run", "-m", "hmil", "-d", "bracs", "--plugin", "no.py"], "plugin no.py does not exist"),
        (["run", "-m", "hmil", "-d", "bracs", "--jobz", "2"], "No such option: --jobz"),
        (["runn"], "No such command 'runn'"),
        (["list", "method"], "unknown kind of thing to list 'method'; did you mean 'methods'"),
        (["show", "hmill"], "did you mean 'hmil'"),
        (["score", "x.csv"], "needs --dataset NAME or --tree FILE"),
    ],
)
def test_wrong_words_are_one_sentence_and_exit_code_two(arguments, sentence, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err.strip()
    assert sentence in error
    assert error.startswith("error: ")
    assert "\n" not in error


def test_a_plugin_adds_a_method_with_the_same_rights(tmp_path, capsys):
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from mil_bench.methods import METHODS\n"
        "@METHODS.register('mine-from-plugin')\n"
        "class Mine:\n"
        "    '''My method.'''\n"
    )
    with pytest.raises(SystemExit) as ended:
        main(["list", "methods", "--plugin", str(plugin)])
    assert ended.value.code == 0
    assert "mine-from-plugin" in capsys.readouterr().out


def test_a_plugin_that_fails_to_import_says_why(tmp_path, capsys):
    plugin = tmp_path / "broken.py"
    plugin.write_text("import no_such_module_anywhere\n")
    with pytest.raises(SystemExit) as ended:
        main(["list", "--plugin", str(plugin)])
    assert ended.value.code == 2
    assert "No module named 'no_such_module_anywhere'" in capsys.readouterr().err
