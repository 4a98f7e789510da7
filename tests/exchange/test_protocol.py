"""Protocols: frozen files, what they admit, and the boards that they name."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
from bundle_cases import some_runs
from prediction_cases import BRACS
from run_folders import finish, make_spec

from mil_bench import leaderboard
from mil_bench.base.errors import DataError, MilBenchError, SplitError
from mil_bench.boards.formats.folder import board_folders
from mil_bench.boards.frames import read_boards
from mil_bench.exchange.bundles.freeze import freeze
from mil_bench.exchange.bundles.protocol import protocol_digest, read_protocol, read_split

COMMITTED = Path(__file__).resolve().parents[2] / "protocols"


def test_committed_protocols_never_change():
    listed = {}
    for line in (COMMITTED / "DIGESTS.sha256").read_text().splitlines():
        digest, name = line.split("  ")
        listed[name] = digest
    present = {p.name for p in COMMITTED.iterdir()} - {"DIGESTS.sha256"}
    assert set(listed) == present, "add a new protocol's line; never remove or change one"
    for name, digest in listed.items():
        assert hashlib.sha256((COMMITTED / name).read_bytes()).hexdigest() == digest, name


@pytest.mark.parametrize("path", sorted(COMMITTED.glob("*.toml")), ids=lambda p: p.stem)
def test_committed_protocols_are_read_for_ever(path):
    protocol = read_protocol(path)
    split = read_split(path, protocol)
    assert len(split) == len(protocol.folds)
    assert protocol.cells == tuple((s, f) for s in (0, 1, 2) for f in range(5))


def test_a_protocol_is_that_of_its_runs(tmp_path):
    runs = some_runs(tmp_path / "runs", ("mean", "abmil"), folds=3)
    path = freeze("toy-1", "2026-11-30", runs, folder=tmp_path)
    protocol = read_protocol(path)
    spec = make_spec()
    assert protocol.labels_digest == spec.labels_digest
    assert protocol.taxonomy == BRACS
    assert (protocol.folds, protocol.seeds, protocol.anchors) == (
        (0, 1, 2),
        (0,),
        ("mean", "abmil"),
    )
    assert protocol.requires(spec)
    assert not protocol.requires(make_spec(seed=1))
    assert protocol.differences(make_spec(seed=1)) == []
    assert protocol.differences(make_spec(split_digest="other")) == [
        "split (other, expected 5b117)"
    ]
    assert len(protocol_digest(path)) == 64


def test_a_protocol_is_never_written_twice(tmp_path):
    runs = some_runs(tmp_path / "runs")
    freeze("toy-1", "2026-11-30", runs, folder=tmp_path)
    with pytest.raises(DataError, match="never changes"):
        freeze("toy-1", "2026-12-01", runs, folder=tmp_path)


def test_runs_of_other_data_must_be_chosen_among(tmp_path):
    runs = some_runs(tmp_path / "runs")
    finish(runs, make_spec(labels_digest="other"))
    with pytest.raises(DataError, match="labels"):
        freeze("toy-1", "2026-11-30", runs, folder=tmp_path)
    with pytest.raises(MilBenchError, match="unknown data"):
        freeze("toy-1", "2026-11-30", runs, "panda", folder=tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("format = 1", "format = 2", "newer mil-bench"),
        ('date = "2026-11-30"', 'date = "yesterday"', "date"),
        ("folds = [0, 1]", "folds = []", "folds"),
        ('name = "toy-1"', 'name = "../x"', "name"),
        ('name = "toy-1"', 'name = "toy-2"', "name"),
        ('split_file = ""', 'split_file = "../../etc/passwd"', "split_file"),
        ("[tree]", "[trees]", "unknown option"),
        ("leaves = [", 'leaves = ["N", ', "tree"),
        ("seeds = [0]", "seeds = [", "TOML"),
        ("seeds = [0]", "seeds = [nan]", "seeds"),
    ],
)
def test_a_protocol_that_was_edited_is_refused_in_a_sentence(tmp_path, old, new, words):
    path = freeze("toy-1", "2026-11-30", some_runs(tmp_path / "runs"), folder=tmp_path)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(MilBenchError) as refusal:
        read_protocol(path)
    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_split_that_was_edited_is_refused(tmp_path):
    for name in ("toml", "csv"):
        shutil.copy(COMMITTED / f"digit-bags-2026-11.{name}", tmp_path)
    path = tmp_path / "digit-bags-2026-11.toml"
    protocol = read_protocol(path)
    table = tmp_path / "digit-bags-2026-11.csv"
    table.write_text(table.read_text().replace("train", "test", 1))
    with pytest.raises(SplitError, match="digest"):
        read_split(path, protocol)
    table.unlink()
    with pytest.raises(SplitError, match="cannot read"):
        read_split(path, protocol)


def test_a_board_is_restricted_to_a_protocol_and_named_by_it(tmp_path):
    runs = some_runs(tmp_path / "runs", ("mean", "abmil"), folds=2)
    path = freeze("toy-1", "2026-11-30", runs, folder=tmp_path)
    finish(runs, make_spec("mean", fold=0, seed=7))
    finish(runs, make_spec("max", fold=0))
    finish(runs, make_spec("max", fold=0, split_digest="other"))
    (board,), left_out = read_boards(runs, protocol=path)
    assert left_out == "2 runs are not of protocol toy-1 and left out"
    assert {row.label: row.coverage for row in board.rows} == {
        "mean": "2 of 2", "abmil": "2 of 2", "max": "1 of 2",
    }  # fmt: skip
    assert board.title.startswith("toy-1: digit-bags")
    (folder,) = board_folders([board], Path("out"))
    assert folder == Path("out/embedded/digit-bags/pixels/toy-1")
    (frames,) = leaderboard(runs, protocol=path)
    assert frames["overall"]["method"].tolist()[-1] == "max"


def test_runs_of_no_protocol_say_what_differs(tmp_path):
    path = freeze("toy-1", "2026-11-30", some_runs(tmp_path / "runs"), folder=tmp_path)
    finish(tmp_path / "other", make_spec(labels_digest="other"))
    with pytest.raises(DataError, match=r"labels \(other, expected 1abe15\)"):
        read_boards(tmp_path / "other", protocol=path)
