"""Commands that read runs take a bundle, or a folder with bundles, in place of a folder of runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
import pytest
from bundle_cases import bundle_of, some_runs
from paired_runs import write_grid

from mil_bench.boards.formats.folder import write_reports
from mil_bench.boards.frames import read_boards, reports_of
from mil_bench.cli.main import main

STORE = Path(__file__).resolve().parents[2] / "leaderboards"
PIXELS = STORE / "embedded/digit-bags/pixels"


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MIL_BENCH_CACHE", str(tmp_path / "cache"))


def exit_code(*words):
    with pytest.raises(SystemExit) as stop:
        main([str(word) for word in words])
    return stop.value.code


@pytest.fixture
def both(tmp_path):
    """A folder of runs, and a bundle of them."""
    runs = some_runs(tmp_path / "runs", ("abmil", "hmil"))
    for folder in runs.glob("*/*/*"):
        (folder / "train.csv").write_text("epoch,loss,loss_ce,lr\n1,2.0,2.0,0.1\n2,1.0,1.0,0.1\n")
    return runs, bundle_of(runs, tmp_path / "b.zip")


def test_leaderboard_writes_the_same_tables_from_a_bundle(both, tmp_path, capsys):
    written = []
    for name, source in zip(("a", "b"), both, strict=True):
        out = tmp_path / name
        assert exit_code("leaderboard", "--runs", source, "--out", out, "--no-figures") == 0
        written.append({p.relative_to(out): p.read_bytes() for p in out.rglob("*.csv")})
    assert written[0] == written[1]
    assert len(written[0]) > 10


def test_compare_reads_a_bundle(tmp_path, capsys):
    runs = write_grid(tmp_path / "runs", {"abmil": 1.0, "hmil": 2.0}, seeds=1, folds=2)
    printed = []
    for source in (runs, bundle_of(runs, tmp_path / "b.zip")):
        assert exit_code("compare", "abmil", "hmil", "--runs", source) == 0
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1]


def test_curves_reads_a_bundle(both, tmp_path, capsys):
    runs, bundle = both
    key = next(runs.glob("*/abmil/*")).name
    assert exit_code("curves", key[:6], "--runs", bundle, "--out", tmp_path / "figures") == 0
    assert f"curves-{key}" in capsys.readouterr().out
    assert (tmp_path / "figures" / f"curves-{key}.png").stat().st_size > 1000


def test_a_hostile_bundle_is_one_sentence_for_every_command(tmp_path, capsys):
    path = tmp_path / "b.zip"
    path.write_bytes(b"PK hello")
    for words in (("leaderboard",), ("compare", "abmil", "hmil"), ("curves", "abc")):
        assert exit_code(*words, "--runs", path) == 1
        message = capsys.readouterr().err
        assert message.startswith(f"error: {path} is not a zip file")
        assert message.count("\n") == 1


def test_a_committed_board_is_that_of_its_bundles(tmp_path):
    """The smaller of the committed boards, number by number."""
    for path in STORE.glob("submissions/digit-bags-coarse-2026-11--*.zip"):
        shutil.copy(path, tmp_path)
    boards, _ = read_boards(tmp_path)
    write_reports(reports_of(boards), tmp_path / "out")
    committed = PIXELS / "official--digits-3-coarse"
    names = {path.name for path in committed.glob("*.csv")}
    assert {"overall.csv", "classwise.csv", "localisation.csv", "calibration.csv"} <= names
    for name in names:
        again = pd.read_csv(tmp_path / "out/embedded/digit-bags/pixels/official" / name)
        pd.testing.assert_frame_equal(again, pd.read_csv(committed / name), rtol=1e-5, atol=2e-6)


def test_score_takes_a_bundle_alone(tmp_path, capsys):
    bundle = bundle_of(some_runs(tmp_path / "runs", folds=1), tmp_path / "b.zip")
    assert exit_code("score", bundle) == 0
    assert "mean sensitivity over classes" in capsys.readouterr().out
    assert exit_code("score", bundle, bundle) == 2
    assert "score it alone" in capsys.readouterr().err
