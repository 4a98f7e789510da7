import json
import multiprocessing

import pytest
from run_specs import SPEC

from mil_bench.base.errors import RunError
from mil_bench.runs.directory import RunBusyError, RunDirectory, run_directories

SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def directory(tmp_path):
    return RunDirectory.of(tmp_path, SPEC)


def hold(path, ready, release):
    with RunDirectory(path).locked():
        ready.set()
        release.wait(60)


def test_a_run_lives_under_dataset_method_and_key(tmp_path, directory):
    assert directory.path == tmp_path / "toy" / "plain" / SPEC.key


def test_status_follows_the_life_of_a_run(directory):
    assert directory.status() == "absent"
    with directory.locked():
        directory.begin(SPEC)
        assert directory.status() == "running"
    assert directory.status() == "interrupted"
    directory.fail(SPEC.key, "a sentence.", "a traceback")
    assert directory.status() == "failed"
    assert directory.read_failure()["error"] == "a sentence."
    directory.begin(SPEC)
    assert directory.status() == "interrupted"
    assert (directory.path / "failure.previous.json").exists()
    assert (directory.path / "traceback.previous.txt").read_text() == "a traceback"
    directory.predictions.write_bytes(b"abc")
    directory.commit({"key": SPEC.key, "status": "done"})
    assert directory.status() == "done"
    result = directory.read_result()
    assert result["finished"]
    assert result["format"] == 2
    # The digest of "abc" in the examples of FIPS 180-2.
    assert result["predictions_sha256"] == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_a_run_without_predictions_cannot_be_committed(directory):
    with directory.locked():
        directory.begin(SPEC)
        with pytest.raises(FileNotFoundError):
            directory.commit({"key": SPEC.key})
    assert directory.status() == "interrupted"


def test_the_lock_of_an_ended_run_names_no_machine(directory):
    with directory.locked():
        assert (directory.path / ".lock").read_text()
    assert (directory.path / ".lock").read_text() == ""


def test_the_definition_is_read_back_with_the_same_key(directory):
    with directory.locked():
        directory.begin(SPEC)
    assert directory.read_spec() == SPEC
    assert directory.read_spec().key == SPEC.key


def test_two_processes_on_one_run_give_one_sentence_with_the_other_one(directory):
    ready, release = SPAWN.Event(), SPAWN.Event()
    other = SPAWN.Process(target=hold, args=(directory.path, ready, release))
    other.start()
    assert ready.wait(60)
    assert directory.status() == "running"
    message = f"process {other.pid} on .* executes run {SPEC.key}; wait for it"
    with pytest.raises(RunBusyError, match=message), directory.locked():
        pass
    other.kill()  # kill -9 frees the run
    other.join()
    with directory.locked():
        pass


def test_a_replaced_run_is_kept_beside_the_others_and_not_listed(tmp_path, directory):
    for number in (1, 2):
        with directory.locked():
            directory.begin(SPEC)
            aside = directory.set_aside(tmp_path)
        assert aside == tmp_path / ".replaced" / "toy" / "plain" / f"{SPEC.key}-{number}"
        assert (aside / "spec.json").exists()
    assert directory.status() == "absent"
    assert run_directories(tmp_path) == []


def test_every_run_is_listed_whatever_its_status(tmp_path, directory):
    with directory.locked():
        directory.begin(SPEC)
    (tmp_path / "toy" / "splits").mkdir()
    assert run_directories(tmp_path) == [directory]
    assert run_directories(tmp_path / "nothing") == []


@pytest.mark.parametrize("content", ["", "{", "{}", json.dumps({"dataset": "x"})])
def test_a_damaged_definition_is_one_sentence(directory, content):
    directory.path.mkdir(parents=True)
    directory.spec_path.write_text(content)
    with pytest.raises(RunError, match=r"cannot read .*spec\.json"):
        directory.read_spec()
