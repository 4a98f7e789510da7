import pandas as pd
import pytest
import toy_grid
from run_requests import PLUGIN
from sklearn.metrics import balanced_accuracy_score

from mil_bench.base.errors import RunError, SplitError, UnknownNameError, UsageError
from mil_bench.cli.main import main
from mil_bench.methods import METHODS
from mil_bench.runs.directory import RunDirectory, run_directories
from mil_bench.runs.run import run
from mil_bench.runs.studies.stored_plans import stored_grids

QUIET = {"plugins": [PLUGIN], "device": "cpu", "quiet": True}


def code_of(words):
    with pytest.raises(SystemExit) as ended:
        main(words)
    return ended.value.code


def test_runs_are_those_of_the_command_and_come_in_the_order_of_the_plan(tmp_path):
    words = ["run", "--plugin", str(PLUGIN), "--dataset", "toy", "--method", "plain,tiny"]
    words += ["--fold", "0,2", "--seed", "1", "--set", "trainer.epochs=2", "--device", "cpu"]
    assert code_of([*words, "--runs", str(tmp_path / "command")]) == 0
    runs = run(
        ["plain", "tiny"], "toy", fold=[0, 2], seed=1, settings={"trainer": {"epochs": 2}},
        runs=tmp_path / "python", **QUIET,
    )  # fmt: skip
    cells = [(r.spec.fold, r.spec.method, r.status) for r in runs]
    assert cells == [
        (0, "plain", "done"), (0, "tiny", "done"), (2, "plain", "done"), (2, "tiny", "done"),
    ]  # fmt: skip
    for directory in run_directories(tmp_path / "command"):
        (same,) = [r for r in runs if r.key == directory.path.name]
        expected = directory.predictions.read_bytes()
        assert RunDirectory(same.path).predictions.read_bytes() == expected
    plans = [stored_grids(tmp_path / kind)[0][0] for kind in ("command", "python")]
    assert plans[0].runs == plans[1].runs
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "python").rglob("*.json")}
    assert code_of([*words, "--runs", str(tmp_path / "python")]) == 0
    after = {path: path.stat().st_mtime_ns for path in before}
    assert {p for p in after if after[p] != before[p]} <= set(
        (tmp_path / "python").glob(".plans/*")
    )


def test_predictions_and_scores_are_those_of_the_file(tmp_path):
    (plain,) = run("plain", "toy", fold=0, runs=tmp_path, **QUIET)
    table = plain.predictions()
    written = pd.read_csv(plain.path / "predictions.csv")
    expected = written[written["set"] == "test"].drop(columns="set").reset_index(drop=True)
    pd.testing.assert_frame_equal(table, expected, check_dtype=False)
    leaves = [column for column in table if column.startswith("leaf:")]
    guessed = table[leaves].idxmax(axis=1).str.removeprefix("leaf:")
    assert plain.scores()["balanced_accuracy"] == pytest.approx(
        balanced_accuracy_score(table["label"], guessed)
    )
    assert len(plain.predictions("val")) == (written["set"] == "val").sum()
    with pytest.raises(UsageError, match="no set 'train'"):
        plain.predictions("train")


def test_a_completed_run_is_skipped_and_loads_its_model(tmp_path):
    run("plain", "toy", fold=0, runs=tmp_path, **QUIET)
    (again,) = run(METHODS.get("plain"), "toy", fold=0, runs=tmp_path, **QUIET)
    assert again.status == "skipped"
    assert again.key in repr(again)
    loaded = again.load()
    slide = again.predictions()["slide_id"][0]
    logits = loaded.method(loaded.batch(slide)).logits["leaf"]
    probabilities = again.predictions().filter(like="leaf:").to_numpy()[0]
    assert logits.double().softmax(1)[0].tolist() == pytest.approx(probabilities, abs=1e-6)


def test_a_dataset_in_memory_gives_the_same_run_as_by_name(tmp_path):
    (by_name,) = run("plain", "toy", fold=0, runs=tmp_path / "a", **QUIET)
    dataset = toy_grid.toy_dataset()
    (in_memory,) = run("plain", dataset, fold=0, runs=tmp_path / "b", **QUIET)
    assert in_memory.key == by_name.key
    pd.testing.assert_frame_equal(in_memory.predictions(), by_name.predictions())
    assert stored_grids(tmp_path / "b") == ([], [])  # `retry` could not load it
    with pytest.raises(UsageError, match="jobs=1"):
        run("plain", dataset, fold=0, runs=tmp_path / "c", jobs=2, **QUIET)
    with pytest.raises(UsageError, match="two datasets in memory"):
        run("plain", [dataset, dataset], fold=0, runs=tmp_path / "c", **QUIET)


def test_a_failed_run_stops_no_other_and_says_why(tmp_path):
    broken, plain = run(["broken", "plain"], "toy", fold=0, runs=tmp_path, **QUIET)
    assert (broken.status, plain.status) == ("failed", "done")
    assert broken.error
    assert plain.error == ""
    with pytest.raises(RunError, match="has failed"):
        broken.predictions()


def test_what_cannot_start_raises_before_the_first_run(tmp_path):
    with pytest.raises(UnknownNameError, match="plian"):
        run("plian", "toy", runs=tmp_path, **QUIET)
    with pytest.raises(SplitError):
        run("plain", "toy", fold=99, runs=tmp_path, **QUIET)

    class Unregistered(METHODS.get("plain")):
        pass

    with pytest.raises(UsageError, match=r"METHODS\.register"):
        run(Unregistered, "toy", runs=tmp_path, **QUIET)
    assert run_directories(tmp_path) == []
