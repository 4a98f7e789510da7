import signal
import time

import pytest
from optuna.trial import TrialState
from tuning_workers import counter, labour, new_study, run_all

from mil_bench.base.errors import UsageError
from mil_bench.tuning.storage import Storage, StorageError, StorageRequest, without_optuna_warnings
from mil_bench.tuning.trial_queue import heartbeat, last_attempts


def request(tmp_path, **changes):
    return StorageRequest(f"sqlite:///{tmp_path / 'db' / 'tuning.db'}", **changes)


def test_six_processes_make_exactly_the_trials_asked_for(tmp_path):
    ask = request(tmp_path)
    Storage(ask)
    assert run_all(labour, [(ask, tmp_path, 25)] * 6) == [0] * 6
    study = new_study(Storage(ask))
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 25


def test_a_trial_whose_process_is_killed_is_made_by_another_with_the_same_settings(tmp_path):
    ask = request(tmp_path)
    assert run_all(labour, [(ask, tmp_path, 6, 2)]) == [-signal.SIGKILL]
    before = new_study(Storage(ask)).trials[2]
    assert before.state == TrialState.RUNNING
    assert run_all(labour, [(ask, tmp_path, 6)]) == [0]
    study = new_study(Storage(ask))
    assert [t.state for t in last_attempts(study)] == [TrialState.COMPLETE] * 6
    (again,) = [t for t in study.trials if t.system_attrs.get("failed_trial") == 2]
    assert again.params == before.params
    assert study.trials[2].state == TrialState.FAIL


def test_a_trial_that_kills_every_process_is_given_up_and_counts(tmp_path):
    ask = request(tmp_path, retries=1)
    storage = Storage(ask)
    study, give = new_study(storage), counter(storage, tmp_path)
    for _ in range(2):
        assert give.claim(study, 1, owner="nobody") is not None
        (tmp_path / "workers").mkdir(exist_ok=True)
        (tmp_path / "workers" / "nobody").touch()  # registered once, holds no lock now
        assert give.sweep(study) == 1
    assert give.claim(study, 1, "me") is None
    assert [t.state for t in last_attempts(study)] == [TrialState.FAIL]


def test_a_process_that_died_while_it_took_a_trial_loses_nothing(tmp_path):
    storage = Storage(request(tmp_path))
    study, give = new_study(storage), counter(storage, tmp_path)
    without_optuna_warnings(
        study.ask
    )  # what a process killed inside claim leaves: running, without owner
    trial = give.claim(study, 1, "me")
    assert trial.number == 1
    assert len(last_attempts(study)) == 1
    assert give.claim(study, 1, "me") is None


def test_a_trial_given_back_on_purpose_is_no_retry(tmp_path):
    storage = Storage(request(tmp_path, retries=0))
    study, give = new_study(storage), counter(storage, tmp_path)
    for number in range(3):
        trial = give.claim(study, 1, "me")
        assert trial.number == number
        x = trial.suggest_float("x", 0, 1)
        give.give_back(study, study.trials[number])
    study.tell(give.claim(study, 1, "me"), x)
    assert [t.state for t in last_attempts(study)] == [TrialState.COMPLETE]
    assert len({t.params["x"] for t in study.trials}) == 1


def test_a_machine_that_falls_silent_is_noticed_by_its_heartbeat(tmp_path):
    storage = Storage(request(tmp_path, heartbeat=1, grace=2))
    study, give = new_study(storage), counter(storage, tmp_path)
    alive, silent = give.claim(study, 2, "elsewhere"), give.claim(study, 2, "elsewhere")
    with heartbeat(storage, alive):
        deadline = time.monotonic() + 300
        while (found := give.claim(study, 2, "me")) is None:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert study.trials[found.number].system_attrs["failed_trial"] == silent.number
    assert study.trials[alive.number].state == TrialState.RUNNING


def test_a_locked_storage_is_one_sentence(tmp_path):
    ask = request(tmp_path, patience=1)
    storage = Storage(ask)
    with storage.exclusive(), pytest.raises(StorageError, match="has been locked by another"):
        Storage(ask)


@pytest.mark.parametrize(
    ("url", "error", "said"),
    [
        ("nonsense", UsageError, "is not a database URL"),
        ("mysql://host/db", UsageError, "mysql is not supported"),
        ("sqlite:///", UsageError, "names no file or database"),
        ("postgresql+psycopg://me@host", UsageError, "names no file or database"),
        ("sqlite:////proc/none/tuning.db", StorageError, "cannot use the storage"),
        ("postgresql+psycopg://me:secret@127.0.0.1:1/x", StorageError, "cannot use the storage"),
    ],
)
def test_an_unreachable_storage_is_one_sentence_without_the_password(url, error, said):
    with pytest.raises(error, match=said) as caught:
        Storage(StorageRequest(url))
    assert "secret" not in str(caught.value)


def test_a_file_that_is_no_database_is_one_sentence(tmp_path):
    (tmp_path / "db").mkdir()
    (tmp_path / "db" / "tuning.db").write_text("not a database, and long enough to be read\n" * 9)
    with pytest.raises(StorageError, match="cannot use the storage"):
        Storage(request(tmp_path))
