"""``mil-bench status`` from another terminal."""

import pytest
from run_folders import begin, fail, finish, make_spec

from mil_bench.cli import status as command
from mil_bench.cli.main import main
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.studies.stored_plans import store_grid
from mil_bench.runs.task import DataRequest, Task

SPECS = [make_spec("abmil", seed=seed, trainer={"epochs": 10}) for seed in range(4)]


@pytest.fixture
def said(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "120")
    store_grid(tmp_path, "my [study].toml", [Task(DataRequest("digit-bags"), s) for s in SPECS], 1)

    def _said(*words):
        with pytest.raises(SystemExit) as ended:
            main(["status", "--runs", str(tmp_path), *words])
        assert ended.value.code == 0
        return capsys.readouterr().out

    return _said


def test_it_shows_counts_epochs_reasons_and_time(said, tmp_path):
    done, failed, running, _ = SPECS
    finish(tmp_path, done, train_seconds=59.0, test_seconds=1.0)
    fail(tmp_path, failed, "out of [memory]")
    folder = begin(tmp_path, running)
    (folder / "train.csv").write_text("epoch,val_log_loss,seconds\n1,0.75,2.0\n2,0.5,4.0\n")
    with RunDirectory(folder).locked():
        text = said()
    assert "my [study].toml" in text
    for heading in ("dataset", "method", "runs", "running", "failed", "rupted", "to do", "1 job"):
        assert heading in text  # whole on a narrow terminal
    assert "digit-bags" in text
    assert "abmil on digit-bags, fold 0, seed 2" in text
    assert "2/10" in text
    assert "loss 0.5000" in text
    assert "about 84 s left, 1 at a time" in text  # 8 epochs of 3 s, and one run of 60 s
    assert "failed abmil on digit-bags, fold 0, seed 1: out of [memory]" in text
    assert "mil-bench retry --failed" in text


def test_watching_ends_when_nothing_is_left(said, tmp_path, monkeypatch):
    looks = []

    def finish_one(_):
        finish(tmp_path, SPECS[len(looks)])
        looks.append(1)

    monkeypatch.setattr(command.time, "sleep", finish_one)
    assert "nothing left to do" in said("--watch")
    assert len(looks) == len(SPECS)
