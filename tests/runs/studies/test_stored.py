"""The stored plan of a grid: what status and retry know of it."""

from pathlib import Path

import pytest
from run_folders import begin, fail, finish, make_spec

from mil_bench.base.errors import DataError, RunError
from mil_bench.contract.dataset import DatasetOptions
from mil_bench.runs.directory import RunDirectory
from mil_bench.runs.studies.grid_status import grid_status
from mil_bench.runs.studies.stored_plans import store_grid, stored_grids, unfinished_runs
from mil_bench.runs.task import DataRequest, Task

BAGS = DataRequest("digit-bags")


def tasks(*methods, data=BAGS, seeds=(0,)):
    return [Task(data, make_spec(m, seed=s, trainer={"epochs": 9})) for m in methods for s in seeds]


def log(folder, *values):
    rows = "".join(f"{i},{v},2.0\n" for i, v in enumerate(values, 1))
    (folder / "train.csv").write_text("epoch,val_log_loss,seconds\n" + rows)


def test_a_plan_is_read_back_as_it_was(tmp_path, monkeypatch):
    monkeypatch.delenv("MIL_BENCH_DATA", raising=False)
    mixed = [*tasks("abmil"), *tasks("clam", data=DataRequest("bracs", split="official"))]
    store_grid(tmp_path, "two", mixed, jobs=3)
    ((grid,), notes) = stored_grids(tmp_path)
    assert (grid.title, grid.jobs, notes) == ("two", 3, [])
    assert grid.tasks() == mixed


def test_the_same_grid_has_one_plan_and_another_grid_another(tmp_path):
    store_grid(tmp_path, "a", tasks("abmil", "clam"), 1)
    store_grid(tmp_path, "a", tasks("clam", "abmil"), 2)
    store_grid(tmp_path, "b", tasks("abmil"), 1)
    grids, _ = stored_grids(tmp_path)
    assert sorted((grid.title, grid.jobs) for grid in grids) == [("a", 2), ("b", 1)]


def test_paths_hold_from_any_folder_and_without_the_environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIL_BENCH_DATA", "data")
    (tmp_path / "split.csv").write_text("")
    request = DataRequest(
        "my.toml",
        DatasetOptions(features=Path("features"), tree="flat"),
        "split.csv",
        plugins=(Path("mine.py"),),
    )
    store_grid(Path("runs"), "mine", tasks("abmil", data=request), 1)
    monkeypatch.delenv("MIL_BENCH_DATA")
    monkeypatch.chdir("/")
    (task,) = stored_grids(tmp_path / "runs")[0][0].tasks()
    assert task.data == DataRequest(
        str(tmp_path / "my.toml"),
        DatasetOptions(tmp_path / "data", tmp_path / "features", tree="flat"),
        str(tmp_path / "split.csv"),
        plugins=(tmp_path / "mine.py",),
    )


def test_a_damaged_plan_is_a_note_and_hides_nothing(tmp_path):
    store_grid(tmp_path, "good", tasks("abmil"), 1)
    (tmp_path / ".plans" / "bad.json").write_text("{")
    (tmp_path / ".plans" / "old.json").write_text('{"title": "old"}')
    grids, notes = stored_grids(tmp_path)
    assert [grid.title for grid in grids] == ["good"]
    assert "bad.json is damaged" in notes[0]
    assert "old.json is of another version" in notes[1]


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="choose another folder with --runs"):
        store_grid(tmp_path / "file", "a", tasks("abmil"), 1)


@pytest.fixture
def mixed(tmp_path):
    """Of six runs of a plan, one in each state."""
    planned = tasks("abmil", seeds=range(6))
    store_grid(tmp_path, "mixed", planned, 1)
    done, failed, stopped, running, fresh, _ = (task.spec for task in planned)
    finish(tmp_path, done)
    fail(tmp_path, failed, "no loss today")
    log(begin(tmp_path, stopped), 1.5)
    log(begin(tmp_path, running), 1.5, 1.25, 1.125)
    begin(tmp_path, fresh)
    with RunDirectory.of(tmp_path, running).locked(), RunDirectory.of(tmp_path, fresh).locked():
        yield tmp_path


def test_every_run_of_a_plan_has_its_state_with_epoch_and_value(mixed):
    seen = grid_status(mixed)
    assert [(s.status, s.epoch, s.reason) for s in seen.states] == [
        ("done", 0, ""),
        ("failed", 0, "no loss today"),
        ("interrupted", 1, ""),
        ("running", 3, ""),
        ("running", 0, ""),
        ("absent", 0, ""),
    ]
    assert (seen.states[3].value, seen.states[3].seconds) == (1.125, 2.0)
    assert seen.states[3].seconds_left(seen.timings) == 12.0
    assert seen.unfinished


def test_looking_leaves_locks_and_files_alone(mixed):
    before = {p: p.stat().st_mtime_ns for p in mixed.rglob("*")}
    grid_status(mixed, everything=True)
    assert {p: p.stat().st_mtime_ns for p in mixed.rglob("*")} == before
    spec = grid_status(mixed).states[2].spec
    with RunDirectory.of(mixed, spec).locked():
        assert grid_status(mixed).states[2].status == "running"


def test_the_latest_grid_is_shown_and_earlier_ones_that_are_running(tmp_path, monkeypatch):
    for i, name in enumerate(("idle", "busy", "latest")):
        monkeypatch.setattr(
            "mil_bench.runs.studies.stored_plans.now", lambda i=i: f"2026-01-0{i + 1}"
        )
        store_grid(tmp_path, name, tasks("abmil", seeds=[i]), 1)
    finish(tmp_path, make_spec("clam"))  # of no plan
    busy = RunDirectory.of(tmp_path, tasks("abmil", seeds=[1])[0].spec)
    with busy.locked():
        seen = grid_status(tmp_path)
        assert [grid.title for grid in seen.grids] == ["latest", "busy"]
        assert (len(seen.states), seen.hidden) == (2, 1)
    assert [grid.title for grid in grid_status(tmp_path).grids] == ["latest"]
    assert len(grid_status(tmp_path, everything=True).states) == 4


def test_a_folder_without_runs_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="no runs in"):
        grid_status(tmp_path / "nowhere")


def test_unfinished_runs_come_with_their_data_and_unplanned_ones_are_named(mixed):
    other = fail(mixed, make_spec("clam"))
    tasks, unplanned, _ = unfinished_runs(mixed, {"failed"})
    assert [(t.spec.seed, t.data.dataset) for t in tasks] == [(1, "digit-bags")]
    assert [directory.path for directory in unplanned] == [other]
    tasks, _, _ = unfinished_runs(mixed, {"interrupted", "failed"})
    assert [t.spec.seed for t in tasks] == [1, 2]
