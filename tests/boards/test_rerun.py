"""The command that boards show for a run: it has the run's key, for every kind of data."""

import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from run_folders import make_spec
from small_cohorts import write_features

from mil_bench.base.registry import load_plugins
from mil_bench.boards.collect import collect
from mil_bench.boards.rerun import REPEATED, Commands, command, shown
from mil_bench.cli.main import main
from mil_bench.cli.parser import Parser
from mil_bench.cli.requests import grid_request, machine_request
from mil_bench.cli.run import declare
from mil_bench.methods import METHODS
from mil_bench.runs.plan import plan
from mil_bench.runs.studies.stored_plans import planned_tasks, store_grid, stored_grids

PLUGIN = """
from mil_bench.methods import METHODS
from mil_bench.methods.pooling import MeanPooling

@METHODS.register("{name}")
class Renamed(MeanPooling):
    '''The mean under another name.'''
"""
QUICK = ["--set", "epochs=1"]


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A working folder with own data whose file, split and plug-in have spaces in their names."""
    folder = tmp_path / "my work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setattr(METHODS, "_entries", dict(METHODS._entries))
    monkeypatch.delenv("MIL_BENCH_DATA", raising=False)
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path / "cache"))
    slides = [f"s{i}" for i in range(24)]
    write_features(folder / "features", slides)
    labels = {"slide_id": slides, "patient_id": slides, "label": ["a", "b", "c"] * 8}
    pd.DataFrame(labels).to_csv(folder / "labels.csv", index=False)
    sets = np.repeat(["train", "val", "test"], [12, 6, 6])
    pd.DataFrame({"slide_id": slides, "split": sets}).to_csv(folder / "my split.csv", index=False)
    (folder / "own data.toml").write_text(
        'name = "own-data"\nlabels = "labels.csv"\nfeatures = "features"\nclasses = ["a", "b", "c"]'
        "\n[trainer]\nepochs = 3\n[methods.abmil]\ndropout = 0.3\n"
    )
    (folder / "my plugin.py").write_text(PLUGIN.format(name="renamed-mean"))
    (folder / "tree of mine.toml").write_text(
        'name = "grouped"\n[tree]\nup = ["a", "b"]\ndown = ["c"]\n'
    )
    return folder


def tasks_of(words):
    parser = Parser("mil-bench run", "")
    declare(parser)
    args = parser.parse(words)
    return plan(grid_request(args, [args.method]), machine_request(args))


OWN = ["--dataset", "own data.toml"]
DIGITS = ["--dataset", "digit-bags"]
CASES = {
    "registered": ["--method", "clam-mb", *DIGITS, "--fold", "1", "--seed", "2"],
    "settings": ["--method", "abmil", *DIGITS, "--set", "lr=0.00031", "--set", "patience=none"],
    "tuned floats": ["--method", "abmil", *DIGITS, "--set", "lr=0.00012345678901234567"],
    "head": ["--method", "abmil", *DIGITS, "--head", "multi"],
    "online": ["--method", "abmil", *DIGITS, "--online", "adapter=32"],
    "precision": ["--method", "abmil", *DIGITS, "--precision", "bf16"],
    "upper level": ["--method", "abmil", *DIGITS, "--tree", "coarse"],
    "own data": ["--method", "mean", *OWN],
    "own settings": ["--method", "abmil", *OWN],
    "own split": ["--method", "mean", *OWN, "--split", "my split.csv", "--seed", "4"],
    "own tree": ["--method", "mean", *OWN, "--tree", "tree of mine.toml"],
    "own encoder": ["--method", "mean", *OWN, "--encoder", "uni"],
    "made split": ["--method", "mean", *OWN, "--split", "mccv-3", "--fold", "2"],
    "plug-in": ["--method", "renamed-mean", "--plugin", "my plugin.py", *OWN],
}


@pytest.mark.parametrize("words", CASES.values(), ids=CASES)
def test_the_command_has_the_key_of_the_run(work, words):
    task = tasks_of(words)[0]
    store_grid(Path("runs"), "grid", [task], 1)
    planned = planned_tasks(stored_grids(Path("runs"))[0])[task.spec.key]
    text = command(planned.spec, planned.data)
    assert str(work.parent) not in text
    program, name, *again = shlex.split(text)
    assert (program, name) == ("mil-bench", "run")
    assert again[-2:] == ["--runs", REPEATED]
    assert [t.spec.key for t in tasks_of(again)] == [task.spec.key]


def test_only_what_differs_from_the_defaults_is_named(work):
    plain = tasks_of(CASES["own settings"])[0]
    text = command(plain.spec, plain.data)
    assert "--set" not in text  # not even the settings that the file recommends
    changed = tasks_of([*CASES["own settings"], "--set", "dropout=0.1"])[0]
    assert command(changed.spec, changed.data).count("--set") == 1


@pytest.mark.parametrize(
    "name", ["registered", "settings", "head", "online", "upper level", "precision"]
)
def test_runs_on_registered_data_need_no_plan(work, name):
    task = tasks_of(CASES[name])[0]
    again = shlex.split(command(task.spec))[2:]
    assert [t.spec.key for t in tasks_of(again)] == [task.spec.key]


def test_without_a_plan_what_is_unknown_is_a_placeholder(work):
    task = tasks_of(CASES["own split"])[0]
    words = shlex.split(command(task.spec))
    assert words[words.index("--dataset") + 1] == "<own-data.toml>"
    assert words[words.index("--split") + 1].startswith("<split ")
    foreign = task.spec.model_copy(update={"method": "unheard-of"})
    assert "<file of the method unheard-of>" in shlex.split(command(foreign))
    simulated = task.spec.model_copy(update={"dataset": "bracs", "kind": "simulated"})
    assert "<folder of the simulated cohort>" in shlex.split(command(simulated))


def test_a_loaded_plug_in_is_named_without_a_plan(work):
    load_plugins([Path("my plugin.py")])
    task = tasks_of(CASES["plug-in"])[0]
    words = shlex.split(command(task.spec))
    assert words[words.index("--plugin") + 1] == "my plugin.py"


def test_another_version_of_the_method_is_a_comment(work):
    spec = tasks_of(CASES["registered"])[0].spec
    old = spec.model_copy(update={"method_version": "0"})
    assert "# requires version 0 of clam-mb" in command(old)
    assert "# requires version 1 of the harness" in command(
        spec.model_copy(update={"harness": "1"})
    )


def test_threads_are_part_of_the_command_because_they_change_results(work):
    spec = tasks_of(CASES["registered"])[0].spec
    assert "--threads 2 " in command(spec, threads=2)
    assert "--threads" not in command(spec, threads=1)
    assert "--threads" not in command(spec, threads="many")


def test_paths_far_from_the_working_folder_are_not_shown(work):
    assert shown(work / "a b.toml", "data") == "a b.toml"
    assert shown(work.parent / "data", "data") == "../data"
    assert shown(Path("/home/somebody/data"), "data root") == "<data root>"


@pytest.mark.parametrize("name", ["own split", "plug-in"])
def test_the_printed_command_makes_the_run_in_a_shell(work, name):
    with pytest.raises(SystemExit) as ended:
        main(["run", *CASES[name], "--fold", "0", *QUICK])
    assert ended.value.code == 0
    (record,) = collect(Path("runs"))
    text = Commands().of(record)
    program = f"{shlex.quote(sys.executable)} -m mil_bench"
    shell = text.replace("mil-bench", program, 1)
    subprocess.run(shell, shell=True, check=True, capture_output=True, cwd=work)
    (again,) = collect(Path(REPEATED))
    assert again.key == record.key
    first, second = (r.path.joinpath("predictions.csv").read_text() for r in (record, again))
    assert second == first


def test_a_run_that_begins_from_weights_names_them_by_their_digest():
    assert "--init '<weights abababababab>'" in command(make_spec(init="ab" * 32))
