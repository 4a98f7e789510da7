"""The command line answers at once, and every wrong word is one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mil_bench.cli import check, data, listing
from mil_bench.cli.main import COMMANDS, main
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.runs import grid, plan
from mil_bench.runs.studies import stored_plans as stored

GROUPS = {
    "mil-bench": COMMANDS,
    "mil-bench data": data.COMMANDS,
    "mil-bench new": listing.COMMANDS,
    "mil-bench check": check.COMMANDS,
}
PROBE = """
import sys
from mil_bench.cli.main import main
try:
    main({arguments!r})
except SystemExit:
    pass
heavy = {{"torch", "pandas", "numpy", "sklearn", "scipy", "matplotlib", "pydantic"}}
heavy &= set(sys.modules)
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
        ["check", "dataset", "nope"],
        ["run", "no-study"],
        ["run"],
        ["status", "--help"],
        ["retry"],
        ["doctor", "--help"],
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


def test_no_help_of_a_command_imports_the_registries_or_the_console():
    pages = [
        [*group.split()[1:], name, "--help"]
        for group, commands in GROUPS.items()
        for name, command in commands.items()
        if not command.successor and not (group == "mil-bench" and f"mil-bench {name}" in GROUPS)
    ]
    script = "\n".join(
        [
            "import contextlib, io, sys",
            "from mil_bench.cli.main import main",
            f"for words in {pages!r}:",
            "    with contextlib.suppress(SystemExit), contextlib.redirect_stdout(io.StringIO()):",
            "        main(words)",
            "    late = {'mil_bench.base.registry', 'mil_bench.methods', 'rich'}",
            "    print(*words, sorted(late & set(sys.modules)))",
        ]
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == [f"{' '.join(words)} []" for words in pages]


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
        (["run", "-m", "hmil", "-d", "bracs", "--set", "a=1", "--set", "a=2"], "has 'a' twice"),
        (
            ["run", "-m", "abmil", "-d", "bracs", "--head", "multi", "--set", "head=flat"],
            "has 'head' twice",
        ),
        (["run", "-m", "hmil", "-d", "bracs", "--plugin", "no.py"], "plug-in no.py does not exist"),
        (
            ["run", "-m", "hmil", "-d", "bracs", "--jobz", "2"],
            "unknown option '--jobz'; did you mean '--jobs'",
        ),
        (["run", "-m", "hmil", "--jobz=2"], "unknown option '--jobz'; did you mean '--jobs'"),
        (["run", "-m", "hmil", "-d", "bracs", "--jobs", "0"], "--jobs: '0' is not a whole number"),
        (["run", "-m", "hmil", "-d", "bracs", "--jobs", "two"], "'two' is not a whole number from"),
        (["run", "-m", "hmil", "-d", "bracs", "--placement", "disk"], "invalid choice: 'disk'"),
        (["run", "-m", "hmil", "-d", "bracs", "--executor", "spark"], "invalid choice: 'spark'"),
        (["tune", "-m", "hmil", "-d", "bracs", "--trials", "0"], "'0' is not a whole number from"),
        (["run", "-m", "hmil", "-d", "bracs", "-x"], "unrecognized arguments: -x"),
        (["run", "-m", "hmil"], "and --dataset NAME, or a study file; see `mil-bench run --help`."),
        (["run", "-d", "bracs", "-m"], "--method/-m: expected one argument"),
        (["runn"], "unknown command 'runn'; did you mean 'run'"),
        (["--versio"], "unknown option '--versio'; did you mean '--version'"),
        (["data", "spilt", "--dataset", "bracs"], "unknown command 'spilt'; did you mean 'split'"),
        (["data", "simulate", "--like", "bracs"], "required: --out; see `mil-bench data simulate"),
        (["list", "method"], "unknown kind of thing to list 'method'; did you mean 'methods'"),
        (["show", "hmill"], "did you mean 'hmil'"),
        (["import", "clam", "x.csv"], "required: --dataset/-d; see `mil-bench import --help`"),
        (["predict", "--features", "x"], "choose the models by --run KEY or by --method NAME"),
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


@pytest.mark.parametrize("group", [*GROUPS])
def test_every_command_that_help_lists_has_help_with_its_summary(group, capsys):
    commands, words = GROUPS[group], group.split()[1:]
    for ask, status in (([], 2), (["--help"], 0), (["-h"], 0)):
        assert ended_with(*words, *ask) == status
        said = capsys.readouterr()
        listed = " ".join((said.out if status == 0 else said.err).split())
        for command in commands.values():
            assert (command.summary in listed) is not bool(command.successor)
    for name, command in commands.items():
        assert ended_with(*words, name, "--help") == 0
        said = " ".join(capsys.readouterr().out.split())
        assert said.startswith(f"usage: {group} {name}")
        assert command.summary in said


def test_help_shows_groups_choices_and_the_defaults_that_say_something(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert ended_with("run", "--help") == 0
    said = capsys.readouterr().out
    assert [line for line in said.splitlines() if line[:1].isalpha() and line[-1] == ":"] == [
        "positional arguments:",
        "options:",
        "experiment:",
        "data:",
        "machine:",
    ]
    assert "--precision {auto,32,bf16,16}" in said
    assert "Random seeds, such as 0,1,2 (default: 0)." in said
    for unsaid in ("None", "False", "[]"):
        assert unsaid not in said


def test_values_of_options_reach_the_request(monkeypatch):
    asked = asked_of(monkeypatch)
    words = (
        "-m hmil,abmil -d bracs --fold 0,2 --set lr=1e-4 --set gated=false --placement=ram --jobs 2"
    )
    assert ended_with("run", *words.split(), "--allow-leaks", "--cache-dir", "packed") == 0
    ((request, machine, _),) = asked
    assert request.methods == ["hmil", "abmil"]
    assert (request.folds, request.seeds, request.precision) == ([0, 2], [0], "auto")
    assert request.settings == {"lr": "1e-4", "gated": "false"}
    assert request.data.allow_leaks
    assert request.data.options == DatasetOptions(cache=Path("packed"))
    assert (machine.cache, machine.existing, machine.jobs) == ("ram", "skip", 2)


@pytest.mark.parametrize("words", ["--head multi", "--set head=multi"])
def test_a_head_has_an_option_of_its_own(monkeypatch, words):
    asked = asked_of(monkeypatch)
    assert ended_with("run", *f"-m abmil -d bracs --set lr=1e-4 {words}".split()) == 0
    ((request, _, _),) = asked
    assert request.settings == {"lr": "1e-4", "head": "multi"}


@pytest.mark.parametrize(("executor", "jobs"), [("local", 1), ("ray", 256), ("slurm", 256)])
def test_every_run_that_there_is_room_for_is_the_default_of_other_machines(
    monkeypatch, executor, jobs
):
    asked = asked_of(monkeypatch)
    words = "-m hmil -d bracs --slurm partition=gpu --slurm time=60 --memory 8 --executor"
    assert ended_with("run", *words.split(), executor) == 0
    ((_, machine, _),) = asked
    assert (machine.executor, machine.jobs, machine.memory) == (executor, jobs, 8)
    assert machine.slurm == (("partition", "gpu"), ("time", "60"))


def asked_of(monkeypatch):
    """What the planner is asked for from now on; it plans nothing and nothing is run."""
    asked = []
    monkeypatch.setattr(plan, "plan", lambda *ask: asked.append(ask) or [])
    monkeypatch.setattr(stored, "store_grid", lambda *_: None)
    monkeypatch.setattr(grid, "run_tasks", lambda *_: Nothing())
    return asked


class Nothing:
    """The outcome of a grid in which nothing failed."""

    failed = ()


def ended_with(*words):
    """The exit code of a command."""
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


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
