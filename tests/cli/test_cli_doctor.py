"""``mil-bench doctor``: what it finds, and a line of advice for each problem."""

from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest
from small_cohorts import bracs_sheet, write_bracs_workbook, write_features

from mil_bench.bags.cache.pack import open_store
from mil_bench.base.finding import Finding
from mil_bench.checks import machine
from mil_bench.checks.machine import examine
from mil_bench.cli.main import main
from mil_bench.tuning.storage import Storage, StorageRequest


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("MIL_BENCH_DATA", raising=False)
    return tmp_path


def about(subject, *, data=None, storage=None, runs="runs"):
    """Findings on one subject."""
    return [f for f in examine(Path(runs), data, None, storage) if f.subject == subject]


def ended(*words):
    with pytest.raises(SystemExit) as end:
        main(["doctor", *words])
    return end.value.code


def test_a_sound_machine_is_ready_and_says_what_it_has(place, capsys):
    assert ended() == 0
    said = capsys.readouterr().out
    for subject in ("mil-bench", "packages", "processor", "memory", "runs folder", "data root"):
        assert subject in said
    assert "ready to run" in said


def test_problems_have_advice_and_exit_code_one(place, capsys):
    assert ended("--data-root", "nowhere", "--storage", "nonsense") == 1
    said = capsys.readouterr().out
    assert "nowhere is not a folder" in said
    assert "-> correct MIL_BENCH_DATA or --data-root" in said
    assert "'nonsense' is not a database URL" in said
    assert "2 problems to fix" in said


def test_every_problem_and_note_has_advice(place):
    (place / "cache").mkdir()
    (place / "cache" / "x.bags").mkdir()
    (place / "cache" / "y.bags.tmp-12").mkdir()
    found = examine(place, place / "nowhere", None, "nonsense")
    wrong = [finding for finding in found if finding.state != "ok"]
    assert len(wrong) >= 4
    assert all(finding.advice for finding in wrong)


def test_datasets_under_the_data_root_are_told_with_slides_and_encoders(place):
    write_bracs_workbook(place / "data" / "bracs")
    (found,) = about("bracs", data=place / "data")
    assert (found.state, found.fact) == ("note", "6 slides (real), no features")
    write_features(place / "data" / "bracs" / "features" / "uni", bracs_sheet()["WSI Filename"])
    (found,) = about("bracs", data=place / "data")
    assert (found.state, found.fact) == ("ok", "6 slides (real), features uni_v1 (6 bags)")
    assert about("panda", data=place / "data") == []


def test_a_damaged_pack_is_named_with_what_to_delete(place):
    features = write_features(place / "features", ["a", "b"])
    open_store(features, ["a", "b"])
    (found,) = about("packed features")
    assert found.state == "ok"
    assert found.fact.startswith("1 set,")
    (array,) = (place / "cache").rglob("features.npy")
    np.save(array, np.zeros((1, 4), np.float32))
    _, damaged = about("packed features")
    assert (damaged.state, damaged.advice.endswith(f"rm -r '{array.parent}'")) == ("note", True)
    assert "cannot be used: damaged" in damaged.fact


def test_a_folder_that_cannot_be_made_is_a_problem(place):
    (place / "file").write_text("")
    (found,) = about("runs folder", runs="file/runs")
    assert (found.state, "--runs" in found.advice) == ("problem", True)


def test_little_room_is_said(place, monkeypatch):
    class Usage:
        free = 5e7

    monkeypatch.setattr(machine.shutil, "disk_usage", lambda _: Usage)
    monkeypatch.setattr(machine, "available_memory", lambda: 1e9)
    assert [f.state for f in about("runs folder")] == ["problem"]
    Usage.free = 2e9
    assert [f.state for f in about("runs folder")] == ["note"]
    (found,) = about("memory")
    assert (found.state, found.fact) == ("note", "1.0 GB free")


def test_missing_and_old_packages_are_problems_and_extras_are_not(place, monkeypatch):
    needs = ["torch>=99", "nosuch>=1", "numpy>=1", 'ray>=99; extra == "ray"', 'x; extra == "dev"']
    monkeypatch.setattr(machine, "requires", lambda _: needs)
    found = {f.subject: f for f in machine.check_software()}
    assert found["torch"].state == "problem"
    assert found["torch"].advice == 'pip install "torch>=99"'
    assert found["nosuch"].fact == "not installed; requires >=1"
    assert (found["extra ray"].state, "extra dev" in found) == ("ok", False)
    assert 'pip install "mil-bench[ray]"' in found["extra ray"].fact


def test_an_uninstalled_package_has_no_version(monkeypatch):
    def gone(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr(machine, "version", gone)
    assert machine._version("torch") is None


@pytest.mark.parametrize(
    ("driver", "built_for", "state"),
    [(None, None, "ok"), ("550", None, "note"), ("550", "12.4", "note")],
)
def test_a_gpu_that_torch_does_not_see_is_said(driver, built_for, state):
    assert machine._no_gpu(driver, built_for).state == state


def test_a_storage_is_asked_and_never_made(place):
    url = f"sqlite:///{place / 'tuning.db'}"
    (found,) = about("storage", storage=url)
    assert found.state == "problem"
    assert not (place / "tuning.db").exists()
    Storage(StorageRequest(url))
    assert about("storage", storage=url) == [Finding("storage", f"{url} answers")]
    assert about("storage") == []
    beside = StorageRequest.beside(Path("runs"))
    Storage(beside)
    assert about("storage") == [Finding("storage", f"{beside.url} answers")]
    server = "postgresql+psycopg://me:secret@127.0.0.1:1/none"
    (found,) = about("storage", storage=server)
    assert (found.state, "secret" in found.fact) == ("problem", False)
