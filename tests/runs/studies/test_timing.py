"""The time of a grid, from hand-written runs."""

import json

import pytest
from run_folders import finish, make_spec

from mil_bench.runs.studies.grid_status import time_left
from mil_bench.runs.studies.run_progress import RunState, Timings, in_words, timings


@pytest.fixture
def known(tmp_path):
    """ABMIL: 10, 20 and 90 s for 10 epochs asked for; CLAM: 50 s for 50."""
    for seed, seconds in enumerate((9.0, 19.0, 89.0)):
        spec = make_spec("abmil", seed=seed, trainer={"epochs": 10})
        finish(tmp_path, spec, train_seconds=seconds, test_seconds=1.0)
    clam = make_spec("clam", trainer={"epochs": 50})
    finish(tmp_path, clam, train_seconds=49.5, test_seconds=0.5)
    return timings(tmp_path, ["digit-bags", "bracs"])


def test_a_run_takes_the_median_of_its_method_by_the_epochs_asked_for(known):
    assert known.seconds(make_spec("abmil", trainer={"epochs": 10})) == 20.0
    assert known.seconds(make_spec("abmil", trainer={"epochs": 30})) == 60.0
    assert known.seconds(make_spec("clam", trainer={"epochs": 30})) == 30.0


def test_else_that_of_its_dataset_else_it_is_unknown(known):
    new = make_spec("transmil", trainer={"epochs": 10})
    assert known.seconds(new) == pytest.approx(15.0)  # of 1, 1, 2 and 9 s per epoch: 1.5
    assert known.seconds(make_spec("abmil", dataset="bracs")) is None


def test_damaged_runs_teach_nothing(tmp_path):
    folder, _ = finish(tmp_path, make_spec("abmil", seed=1))
    (folder / "result.json").write_text("{")
    folder, _ = finish(tmp_path, make_spec("abmil", seed=2))
    (folder / "result.json").write_text(json.dumps({"key": "?"}))
    assert timings(tmp_path, ["digit-bags"]) == Timings()


def states(known, *statuses):
    return [RunState(make_spec("abmil", trainer={"epochs": 60}), status) for status in statuses]


def test_the_time_of_a_grid_is_divided_by_the_jobs(known):
    four = states(known, "absent", "absent", "interrupted", "absent", "done", "failed")
    assert time_left(four, known, 1) == "about 8 min left, 1 at a time"
    assert time_left(four, known, 2) == "about 4 min left, 2 at a time"
    assert time_left(four, known, 9) == "about 2 min left, 4 at a time"
    assert time_left(states(known, "done", "failed"), known, 1) == "nothing left to do"


def test_a_running_run_is_timed_by_its_own_epochs(known):
    spec = make_spec("abmil", trainer={"epochs": 60})
    run = RunState(spec, "running", epoch=50, seconds=3.0)
    assert time_left([run], known, 1) == "about 30 s left, 1 at a time"


def test_unknown_times_are_said(known):
    alien = RunState(make_spec("abmil", dataset="bracs"), "absent")
    assert "time unknown" in time_left([alien], known, 2)
    mixed = [*states(known, "absent"), alien]
    assert time_left(mixed, known, 1) == (
        "about 2 min left, 1 at a time, without 1 run of unknown time"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (4.4, "4 s"),
        (89, "89 s"),
        (90, "2 min"),
        (5340, "89 min"),
        (5400, "1 h 30 min"),
        (180000, "2 d 2 h"),
    ],
)
def test_durations_in_words(seconds, words):
    assert in_words(seconds) == words
