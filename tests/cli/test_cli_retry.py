"""``mil-bench retry``: failed runs again, as they were planned."""

import pytest
import toy_grid
from run_folders import fail, make_spec

from mil_bench.cli.main import main
from mil_bench.runs.directory import run_directories


@pytest.fixture
def typed(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)

    def _typed(*words):
        with pytest.raises(SystemExit) as ended:
            main(words)
        said = capfd.readouterr()
        return ended.value.code, said.out + said.err

    return _typed


GRID = ["run", "-m", "broken,plain", "-d", "toy", "--fold", "0", "--set", "epochs=2"]
GRID += ["--device", "cpu"]


def statuses(tmp_path):
    return [place.status() for place in run_directories(tmp_path / "runs")]


def test_failed_runs_are_made_again_with_the_settings_of_their_grid(typed, tmp_path, monkeypatch):
    assert typed(*GRID)[0] == 1
    assert statuses(tmp_path) == ["failed", "done"]
    code, said = typed("retry", "--failed", "--device", "cpu")
    assert (code, "0 done, 0 done before, 1 failed" in said) == (1, True)
    monkeypatch.setattr(toy_grid.Broken, "loss", toy_grid.Plain.loss)
    code, said = typed("retry", "--failed", "--device", "cpu")
    assert (code, "1 done, 0 done before, 0 failed" in said) == (0, True)
    assert statuses(tmp_path) == ["done", "done"]
    assert run_directories(tmp_path / "runs")[0].read_spec().trainer.epochs == 2
    assert "no failed run to rerun" in typed("retry", "--failed")[1]


def test_an_interrupted_run_goes_on_only_when_asked(typed, tmp_path):
    typed(*GRID)
    run_directories(tmp_path / "runs")[1].result.unlink()
    assert statuses(tmp_path) == ["failed", "interrupted"]
    assert typed("retry", "--failed", "--device", "cpu")[0] == 1
    assert statuses(tmp_path) == ["failed", "interrupted"]
    assert typed("retry", "--interrupted", "--device", "cpu")[0] == 0
    assert statuses(tmp_path) == ["failed", "done"]


@pytest.mark.parametrize("what", ["method", "data"])
def test_a_run_whose_code_or_data_have_changed_is_not_made(typed, tmp_path, monkeypatch, what):
    typed(*GRID)
    if what == "method":
        monkeypatch.setattr(toy_grid.Broken, "version", "99")
    else:
        other = toy_grid.toy_dataset(slides=40)
        monkeypatch.setattr(toy_grid.ToyData, "load", lambda *_: other)
    before = {p: p.read_bytes() for p in (tmp_path / "runs").rglob("*") if p.is_file()}
    code, said = typed("retry", "--failed", "--device", "cpu")
    assert code == 1
    assert "no failed run to rerun" in said
    assert "note broken on toy, fold 0, seed 0 was planned" in said
    assert {p: p.read_bytes() for p in (tmp_path / "runs").rglob("*") if p.is_file()} == before


def test_a_run_whose_data_are_gone_does_not_stop_the_others(typed, tmp_path, monkeypatch):
    typed(*GRID)
    plans = tmp_path / "runs" / ".plans"
    typed("run", "-m", "broken", "-d", "toy", "--fold", "1", "--split", "kfold-4")
    monkeypatch.setattr(toy_grid.Broken, "loss", toy_grid.Plain.loss)
    (plan,) = (path for path in plans.iterdir() if "kfold-4" in path.read_text())
    plan.write_text(plan.read_text().replace('"split":"kfold-4"', '"split":"gone.csv"', 1))
    code, said = typed("retry", "--failed", "--device", "cpu")
    assert (code, "1 done, 0 done before, 0 failed" in said) == (1, True)
    assert "fold 1, seed 0 cannot run: split file gone.csv does not exist" in said


def test_a_run_without_a_plan_is_named(typed, tmp_path):
    folder = fail(tmp_path / "runs", make_spec("clam"))
    code, said = typed("retry", "--failed")
    assert code == 1
    assert f"no stored plan covers runs/{folder.relative_to(tmp_path / 'runs')}; rerun" in said


def test_a_folder_without_runs_is_one_sentence(typed):
    assert typed("retry", "--failed", "--runs", "rnus") == (
        1,
        "error: no runs in rnus; expected the --runs folder of `mil-bench run`.\n",
    )


def test_it_wants_to_know_which(typed):
    assert typed("retry") == (
        2,
        "error: nothing to rerun: pass --failed, --interrupted or both.\n",
    )
