"""``mil-bench heatmap`` and ``mil-bench localise``: what they find, what they say."""

import io
import shutil

import pytest
from rich.console import Console
from run_requests import PLUGIN, request, run_grid

from mil_bench.base.errors import DataError, RunError, UnknownNameError, UsageError
from mil_bench.cli.main import main
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.heatmaps.localisation_table import read_localisation
from mil_bench.runs.directory import run_directories
from mil_bench.runs.find_run import DataOfRuns, find_run
from mil_bench.simulation.simulate import simulate


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """ABMIL on a simulated cohort, made by the command line, and a run of the toy."""
    root = tmp_path_factory.mktemp("made")
    simulate("bracs", root / "sim", slides=42, dim=8, max_patches=30)
    words = ["run", "-m", "abmil", "-d", "bracs", "--split", "official", "--set", "epochs=2"]
    words += ["--data-root", str(root / "sim"), "--cache-dir", str(root / "cache")]
    with pytest.raises(SystemExit) as end:
        main([*words, "--device", "cpu", "--runs", str(root / "runs")])
    assert end.value.code == 0
    run_grid(*request(root / "runs", settings={"epochs": "1"}), Console(file=io.StringIO()))
    return root


@pytest.fixture
def runs(made, tmp_path):
    return shutil.copytree(made / "runs", tmp_path / "runs")


def obey(capsys, *words):
    """Exit code, output and errors."""
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code, *capsys.readouterr()


def key_of(runs, method):
    return next(p.path.name for p in run_directories(runs) if p.read_spec().method == method)


def test_the_plan_of_a_run_tells_where_its_data_are(runs, capsys):
    key = key_of(runs, "abmil")
    slide = "BRACS_SIM_1"
    code, out, err = obey(capsys, "heatmap", "--run", key[:8], "--slide", slide, "--runs", runs)
    assert (code, err) == (0, "")
    folder = runs / "bracs" / "abmil" / key / "heatmaps"
    assert "by attention" in out
    assert "pass --slides for contact sheets" in out
    assert {p.name for p in (folder / slide).iterdir()} == {
        "leaf_all-classes.png", "scores.csv", "tiles.geojson", "summary.json",
    }  # fmt: skip
    assert (folder / "index.html").is_file()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--slide", "BRACS_SIM_1x"], "unknown slide 'BRACS_SIM_1x' of bracs; did you mean"),
        (["--slide", "BRACS_SIM_1", "--class", "DCSI"], "unknown class 'DCSI' of tree 'bracs-3'"),
        (["--slide", "BRACS_SIM_1", "--level", "corse"], "unknown level 'corse' of tree 'bracs-3'"),
        (["--slide", "BRACS_SIM_1", "--slides", "nowhere"], "nowhere: there is no such file"),
    ],
)
def test_wrong_words_are_one_sentence_with_the_nearest_names(runs, capsys, words, sentence):
    code, _, err = obey(capsys, "heatmap", "--run", key_of(runs, "abmil"), *words, "--runs", runs)
    assert code in (1, 2)
    assert sentence in err
    assert err.count("\n") == 1


def test_a_slide_that_cannot_be_drawn_stops_no_other(runs, capsys):
    key = key_of(runs, "abmil")
    slides = ["--slide", "nobody", "--slide", "BRACS_SIM_1", "--slide", "no one"]
    code, out, err = obey(capsys, "heatmap", "--run", key, *slides, "--runs", runs)
    assert (code, err.count("\n")) == (1, 1)
    assert "BRACS_SIM_1: 1 picture" in out
    assert "unknown slide 'nobody' of bracs" in err
    assert "unknown slide 'no one' of bracs" in err
    assert (runs / "bracs" / "abmil" / key / "heatmaps" / "index.html").is_file()


def test_localise_scores_once_what_it_can(runs, capsys):
    code, out, _ = obey(capsys, "localise", "--runs", runs, "--plugin", PLUGIN)
    assert code == 0
    assert "1 run scored, 0 scored before, 1 on data without known patches, " in out
    assert "0 without a model, 0 refused" in out
    folder = next((runs / "bracs" / "abmil").iterdir())
    leaf = [row for row in read_localisation(folder) if row.level == "leaf"]
    assert [row.name for row in leaf] == ["N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC"]
    assert (leaf[0].slides, leaf[0].source) == (0, "attention")  # normal tissue has no lesions
    key = folder.name
    code, out, _ = obey(capsys, "localise", "--run", key_of(runs, "plain"), "--runs", runs)
    assert (code, "0 runs scored, 0 scored before, 1 on data" in out) == (1, True)
    code, out, _ = obey(capsys, "localise", "--run", key, "--runs", runs)
    assert (code, "0 runs scored, 1 scored before" in out) == (0, True)
    code, out, _ = obey(capsys, "localise", "--run", key, "--runs", runs, "--relevance", "gradient")
    assert (code, "1 run scored, 0 scored before" in out) == (0, True)
    assert read_localisation(folder)[0].source == "gradient (change of the log odds)"
    code, out, _ = obey(capsys, "localise", "--run", key, "--runs", runs, "--overwrite")
    assert (code, "1 run scored, 0 scored before" in out) == (0, True)
    assert read_localisation(folder)[0].source == "attention"


def test_a_key_that_none_or_several_runs_begin_with(runs, tmp_path):
    key = key_of(runs, "abmil")
    assert find_run(runs, key[:6]).path.name == key
    with pytest.raises(UnknownNameError, match=f"unknown run '{key[:-1]}!'; did you mean '{key}'"):
        find_run(runs, f"{key[:-1]}!")
    with pytest.raises(UsageError, match="2 runs begin with ''"):
        find_run(runs, "")
    with pytest.raises(DataError, match="no runs in"):
        find_run(tmp_path / "empty", key)


def test_without_a_plan_the_dataset_is_looked_for_by_name(runs, made):
    shutil.rmtree(runs / ".plans")
    spec = next(p.read_spec() for p in run_directories(runs) if p.read_spec().method == "abmil")
    said = DatasetOptions(data_root=made / "sim", cache=made / "cache")
    assert DataOfRuns(runs, None, said).of(spec).kind == "simulated"
    with pytest.raises(RunError, match="pass the file of dataset own with --dataset"):
        DataOfRuns(runs, None, said).of(spec.model_copy(update={"dataset": "own"}))


def test_a_run_that_cannot_be_scored_stops_no_other_and_is_named(runs, capsys):
    key = key_of(runs, "abmil")
    broken = shutil.copytree(runs / "bracs" / "abmil" / key, runs / "bracs" / "abmil" / ("0" * 16))
    (broken / "checkpoint.pt").write_bytes(b"half")
    code, out, _ = obey(capsys, "localise", "--runs", runs)
    assert code == 1
    assert "1 run scored" in out
    assert "1 refused" in out
    assert "is not a readable checkpoint" in out
