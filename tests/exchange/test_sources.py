"""Folders of runs, bundles, and folders with bundles are read alike."""

from __future__ import annotations

import os

import pandas as pd
import pytest
from bundle_cases import bundle_of, some_runs
from prediction_cases import BRACS, random_predictions
from run_folders import finish, make_spec

from mil_bench import leaderboard
from mil_bench.base.errors import DataError
from mil_bench.boards.collect import collect
from mil_bench.exchange.bundles.sources import run_folders, run_sources, unpacked
from mil_bench.exchange.bundles.verification import Verification, add_verification


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def runs(tmp_path):
    return some_runs(tmp_path / "runs", ("abmil", "hmil", "mean"))


def _tables(source):
    (board,) = leaderboard(source)
    return {name: frame for name, frame in board.tables.items() if name != "cost"}


def test_a_bundle_gives_the_board_of_its_runs(tmp_path, runs):
    expected = _tables(runs)
    for source in (bundle_of(runs, tmp_path / "b.zip"), _folder_of_bundles(tmp_path, runs)):
        tables = _tables(source)
        assert set(tables) == set(expected)
        for name, frame in tables.items():
            pd.testing.assert_frame_equal(frame, expected[name])


def _folder_of_bundles(tmp_path, runs):
    """A bundle per method, and one method as plain runs."""
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for method in ("abmil", "hmil"):
        part = some_runs(tmp_path / f"only-{method}", (method,))
        bundle_of(part, mixed / f"{method}.zip")
    some_runs(mixed, ("mean",))
    return mixed


def test_records_are_in_the_order_of_a_folder_and_know_their_bundle(tmp_path, runs):
    mixed = _folder_of_bundles(tmp_path, runs)
    assert [r.key for r in collect(mixed)] == [r.key for r in collect(runs)]
    origins = {r.spec.method: (r.bundle, r.verification) for r in collect(mixed)}
    assert origins == {
        "abmil": ("abmil.zip", "scored"), "hmil": ("hmil.zip", "scored"), "mean": ("", ""),
    }  # fmt: skip


def test_a_bundle_is_unpacked_once(tmp_path, runs, cache, monkeypatch):
    path = bundle_of(runs, tmp_path / "b.zip")
    first = unpacked(path)
    assert first.runs == cache / "bundles" / first.sha256 / "runs"
    monkeypatch.setattr("mil_bench.exchange.bundles.sources.read_bundle", None)
    assert unpacked(path) == first
    assert [entry.name for entry in (cache / "bundles").iterdir()] == [first.sha256]


def test_an_unpacked_run_that_was_edited_is_unpacked_again(tmp_path, runs):
    path = bundle_of(runs, tmp_path / "b.zip")
    first = unpacked(path)
    (file, *_) = sorted(first.runs.rglob("predictions.csv"))
    before = file.read_bytes()
    file.write_bytes(before.replace(b"0.", b"1.", 1))
    os.utime(file, ns=(1, 1))
    assert unpacked(path) == first
    assert file.read_bytes() == before
    (file.parent / "result.json").unlink()
    assert unpacked(path) == first
    assert (file.parent / "result.json").exists()


def test_a_run_in_two_bundles_counts_once_and_a_difference_is_noted(tmp_path):
    folder = tmp_path / "both"
    folder.mkdir()
    for name, seed in (("a", 1), ("b", 2)):
        p = random_predictions(BRACS, n=60, seed=seed)
        for fold in range(2):
            finish(tmp_path / name, make_spec(fold=fold), p)
        bundle_of(tmp_path / name, folder / f"{name}.zip")
    records = collect(folder)
    assert [record.bundle for record in records] == ["a.zip", "a.zip"]
    assert all(record.differing_copy for record in records)
    (board,) = leaderboard(folder)
    assert any("several bundles with different predictions" in note for note in board.caveats)
    (folder / "b.zip").write_bytes((folder / "a.zip").read_bytes())
    assert not any(record.differing_copy for record in collect(folder))


def test_the_level_of_verification_is_a_column_once_others_have_verified(tmp_path, runs):
    folder = _folder_of_bundles(tmp_path, runs)
    (board,) = leaderboard(folder)
    assert "verification" not in board["overall"]
    (source,) = [s for s in run_sources(folder) if s.bundle and s.bundle.name == "hmil.zip"]
    record = Verification(
        bundle="hmil.zip", sha256=source.sha256, level="repeated", by="B. Other", date="2026-11-30"
    )
    add_verification(folder, record)
    add_verification(folder, record)
    assert (folder / "verified.toml").read_text().count("[[verified]]") == 1
    (board,) = leaderboard(folder)
    levels = dict(zip(board["overall"]["method"], board["overall"]["verification"], strict=True))
    assert levels == {"abmil": "scored", "hmil": "repeated", "mean": "scored"}


def test_a_folder_that_is_not_there_and_one_without_runs_say_so(tmp_path):
    with pytest.raises(DataError, match="no folder"):
        run_folders(tmp_path / "none")
    with pytest.raises(DataError, match="holds no runs"):
        collect(tmp_path)


def test_a_cache_that_cannot_be_written_is_an_error_in_words(tmp_path, runs, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="MIL_BENCH_CACHE"):
        unpacked(bundle_of(runs, tmp_path / "b.zip"))
